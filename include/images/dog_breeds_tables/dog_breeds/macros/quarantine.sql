{# Makes the table of refused rows, once; its columns are described where it is declared, in models/sources.yml. #}
{% macro quarantine_table() %}
    {%- set columns = [] -%}
    {%- if execute and flags.WHICH in ('build', 'run') -%}
        {%- for column in _quarantine().columns.values() -%}
            {%- do columns.append(column.name ~ ' ' ~ column.data_type ~ ' options(description="' ~ column.description ~ '")') -%}
        {%- endfor -%}
        create table if not exists {{ source('quarantine', 'breeds_quarantine') }} ({{ columns | join(', ') }})
    {%- endif -%}
{% endmacro %}

{% macro _quarantine() %}
    {%- for node in graph.sources.values() if node.name == 'breeds_quarantine' -%}
        {{- return(node) -}}
    {%- endfor -%}
{% endmacro %}

{# Adds the rows that failed checks have stored; a row is added once for each check and load. #}
{% macro quarantine(results) %}
    {%- if execute and flags.WHICH in ('build', 'test') -%}
        {%- for result in results if result.node.resource_type == 'test' and result.status == 'fail' -%}
            {%- set stored = api.Relation.create(
                database=result.node.database, schema=result.node.schema, identifier=result.node.alias
            ) -%}
            {%- set columns = adapter.get_columns_in_relation(stored) | map(attribute='name') | list -%}
            {%- if 'row_id' in columns and 'reason' in columns -%}
                {%- do run_query(_put_aside(stored, result.node.name)) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}

{% macro _put_aside(stored, check_name) %}
    {%- set aside = source('quarantine', 'breeds_quarantine') -%}
    insert into {{ aside }} (row_id, breed_json, reason, check_name, run_id, ingested_at, quarantined_at)
    select
        row_id, breed_json, reason, '{{ check_name }}', '{{ env_var("CLOUD_RUN_EXECUTION", invocation_id) }}',
        ingested_at, current_timestamp()
    from {{ stored }} as refused
    where not exists (
        select 1 from {{ aside }} as earlier
        where earlier.row_id = refused.row_id and earlier.ingested_at = refused.ingested_at
        and earlier.reason = refused.reason
    )
{% endmacro %}
