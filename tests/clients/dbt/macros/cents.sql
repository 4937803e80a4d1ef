{% macro cents(column) %}({{ column }} * 100)::integer{% endmacro %}

{% macro seen(relation) %}
  {% set rows = run_query("select count(*) as n, max(changed_at) as newest from " ~ ref(relation)) %}
  {% do log("seen " ~ rows.columns[0].values()[0] ~ " to " ~ rows.columns[1].values()[0], info=True) %}
  {% for column in adapter.get_columns_in_relation(ref(relation)) %}
    {% do log("column " ~ column.name ~ " " ~ column.data_type, info=True) %}
  {% endfor %}
{% endmacro %}
