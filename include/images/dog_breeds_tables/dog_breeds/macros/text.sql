{# Text as it was meant: one kind of dash, single spaces; empty text and the API's "NaN" are no text. #}
{% macro cleaned(text) -%}
    nullif(nullif(trim(regexp_replace(regexp_replace({{ text }}, r'[‐‑‒–—−]', '-'), r'\s+', ' ')), ''), 'NaN')
{%- endmacro %}

{# All numbers of a text like "12 - 16 Years years", in order. #}
{% macro numbers(text) -%}
    regexp_extract_all({{ text }}, r'[0-9]+(?:[.][0-9]+)?')
{%- endmacro %}

{# The end of a range is its second number; of "15 years" and "up - 18" it is the only one. #}
{% macro upper_end(found) -%}
    cast(coalesce({{ found }}[safe_offset(1)], {{ found }}[safe_offset(0)]) as float64)
{%- endmacro %}

{# "up - 18" and "NaN - 8" have no beginning. #}
{% macro lower_end(text, found) -%}
    if(regexp_contains({{ text }}, r'^[0-9]'), cast({{ found }}[safe_offset(0)] as float64), null)
{%- endmacro %}
