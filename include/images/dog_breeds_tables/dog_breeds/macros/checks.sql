{# The checks give the rows that they refuse, whole and with the reason, so that these can be put aside. #}

{% test present(model, column_name) %}
    select *, '{{ column_name }} is missing' as reason
    from {{ model }}
    where {{ column_name }} is null
{% endtest %}

{% test distinct_values(model, column_name) %}
    select *, concat('{{ column_name }} ', cast({{ column_name }} as string), ' is there more than once') as reason
    from {{ model }}
    where {{ column_name }} in (
        select {{ column_name }} from {{ model }} group by {{ column_name }} having count(*) > 1
    )
{% endtest %}

{% test between(model, column_name, least, most) %}
    select
        *,
        concat('{{ column_name }} is ', cast({{ column_name }} as string), ', not {{ least }} to {{ most }}') as reason
    from {{ model }}
    where {{ column_name }} < {{ least }} or {{ column_name }} > {{ most }}
{% endtest %}

{% test mostly_present(model, column_name, share) %}
    select *, '{{ column_name }} is missing, as in more than {{ (100 * share) | round(1) }} % of the rows' as reason
    from {{ model }}
    where {{ column_name }} is null
    and (select countif({{ column_name }} is null) > {{ share }} * count(*) from {{ model }})
{% endtest %}

{% test has_rows(model) %}
    select count(*) as rows_found from {{ model }} having count(*) = 0
{% endtest %}
