{# What a function's Dockerfile has of Node.js: the packages of package.json. #}
{% macro npm_install() %}
{{ ca_env }}npm {{ "ci" if has_lock else "install" }} --omit=dev
{% endmacro %}
{% macro first_stages() %}
{% if checked and not after and foundation.kind != "nuclio" %}
FROM {{ foundation.base or processor }} AS checked
{% if packages %}
COPY {{ [packages[0], "/checked/"] | tojson }}
{% endif %}
COPY {{ "--from=config " if source_path }}{{ [("source/" if source_path else "") ~ checked, "/checked/"] | tojson }}
RUN node --check /checked/{{ checked.rpartition("/")[2] }}
{% endif %}
{% endmacro %}
{% macro install_before_code() %}
{% if shared %}
ENV NODE_PATH=/opt/nuclio/node_modules:/usr/local/lib/node_modules
{% endif %}
{% if packages and not needs_code %}
COPY {{ owner }}{{ packages | tojson }}
RUN {{ ca_mount }}{{ npm_cache }} \
    cd {{ packages_target }} && {{ npm_install() }}
{%- endif %}
{% endmacro %}
{% macro install_after_code() %}
{% if packages and needs_code %}
RUN {{ ca_mount }}{{ npm_cache }} \
    cd {{ packages_target }} && {{ npm_install() }}
{%- endif %}
{# The same file once more: what Node.js cannot read ends the build while packages are still being installed. #}
{% if checked and not after and foundation.kind != "nuclio" %}
COPY --from=checked {{ owner }}{{ ["/checked/" ~ checked.rpartition("/")[2], "/opt/nuclio/" ~ checked] | tojson }}
{% endif %}
{% endmacro %}
{% macro copy_nuclio() %}
COPY --from=onbuild /home/nuclio/bin/wrapper.js /opt/nuclio/wrapper.js
{% endmacro %}
{% macro install_nuclio() %}
ENV NODE_PATH=/usr/local/lib/node_modules
{% endmacro %}
