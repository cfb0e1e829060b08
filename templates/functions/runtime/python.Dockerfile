{# What a function's Dockerfile has of Python: its packages, and Nuclio's own processor for it. #}
{% macro pip_install() %}
{{ ca_env }}PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --requirement {{ requirements_target }}requirements.txt
{% endmacro %}
{% macro first_stages() %}
{% endmacro %}
{% macro install_before_code() %}
{% if requirements and not needs_code %}
{% for paths in requirements %}
COPY {{ owner }}{{ paths | tojson }}
{% endfor %}
RUN {{ ca_mount }}{{ pip_cache }} \
    {{ pip_install() }}
{%- endif %}
{% endmacro %}
{% macro install_after_code() %}
{% if requirements and needs_code %}
RUN {{ ca_mount }}{{ pip_cache }} \
    cd {{ requirements_target }} && {{ pip_install() }}
{%- endif %}
{% endmacro %}
{% macro copy_nuclio() %}
COPY --from=onbuild /home/nuclio/bin/py /opt/nuclio/
COPY --from=onbuild /home/nuclio/bin/py{{ foundation.runtime.version }}-whl /opt/nuclio/whl
{% endmacro %}
{% macro install_nuclio() %}
RUN python /opt/nuclio/whl/$(basename /opt/nuclio/whl/pip-*.whl)/pip install pip --no-index --find-links /opt/nuclio/whl \
 && python -m pip install nuclio-sdk msgpack --no-index --find-links /opt/nuclio/whl
{% endmacro %}
