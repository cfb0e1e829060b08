{# What a function's Dockerfile has of Node.js: the packages of package.json. #}
{% macro npm_install() %}
{{ ca_env }}npm {{ "ci" if has_lock else "install" }} --omit=dev
{% endmacro %}
{% macro install_before_code() %}
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
{% endmacro %}
{% macro copy_nuclio() %}
COPY --from=onbuild /home/nuclio/bin/wrapper.js /opt/nuclio/wrapper.js
{% endmacro %}
{% macro install_nuclio() %}
ENV NODE_PATH=/usr/local/lib/node_modules
{% endmacro %}
