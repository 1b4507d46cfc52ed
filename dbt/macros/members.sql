{# How facts find their dimensions' members, and find them again when the members have changed since.

   A member is described by its dimension, the key that both hold, the natural key that the fact carries, and whether the
   dimension has a history: then the version valid at the fact's created_at is meant. Joins are outer ones, and what is not
   found is -1, the unknown member: no fact is dropped for want of a dimension. #}

{% macro member(dimension, key, natural_key, has_history=false) -%}
  {{ return({'dimension': dimension, 'key': key, 'natural_key': natural_key, 'has_history': has_history}) }}
{%- endmacro %}

{% macro merchant() -%}{{ return(member('dim_merchant', 'merchant_key', 'merchant_id', true)) }}{%- endmacro %}
{% macro customer() -%}{{ return(member('dim_customer', 'customer_key', 'customer_token', true)) }}{%- endmacro %}

{# From `states`, to each member; the dimensions keep their names. #}
{% macro join_members(members) -%}
  {% for it in members -%}
left join {{ ref(it.dimension) }} as {{ it.dimension }}
  on {{ it.dimension }}.{{ it.natural_key }} = states.{{ it.natural_key }}
  {%- if it.has_history %}
  and states.created_at >= {{ it.dimension }}.effective_from
  and states.created_at < {{ it.dimension }}.effective_to
  {%- endif %}
  {% endfor %}
{%- endmacro %}

{# The keys of facts whose member is gone, is the unknown one although the fact names somebody, or no longer covers
   created_at. `further_joins` and `further_conditions` add what else of a fact may have become old. #}
{% macro rekeyed(fact_key, members, further_joins='', further_conditions=[]) -%}
  select fact.{{ fact_key }}
  from {{ this }} as fact
  {% for it in members -%}
  left join {{ ref(it.dimension) }} as {{ it.dimension }} on {{ it.dimension }}.{{ it.key }} = fact.{{ it.key }}
  {% endfor -%}
  {{ further_joins }}
  where false
  {%- for it in members %}
    or {{ it.dimension }}.{{ it.key }} is null
    or (fact.{{ it.key }} = -1 and fact.{{ it.natural_key }} is not null)
    {%- if it.has_history %}
    or fact.created_at < {{ it.dimension }}.effective_from
    or fact.created_at >= {{ it.dimension }}.effective_to
    {%- endif %}
  {%- endfor %}
  {%- for condition in further_conditions %}
    or {{ condition }}
  {%- endfor %}
{%- endmacro %}

{# What makes two devices of one kind: text of the three attributes, or one word for a device that nobody knew. #}
{% macro device_kind(row) -%}
  coalesce(
    {{ row }}.device_type || '|' || coalesce({{ row }}.os_name, '') || '|' || coalesce({{ row }}.browser_name, ''),
    'unidentified'
  )
{%- endmacro %}

{# HHMM of a moment, key of dim_time. #}
{% macro time_key(moment) -%}
  cast(extract(hour from {{ in_utc(moment) }}) * 100 + extract(minute from {{ in_utc(moment) }}) as integer)
{%- endmacro %}

{# An amount times a fraction of whole numbers, rounded half to even, without leaving whole numbers: exact for any
   amount that the rules allow. Negative amounts are not meant. #}
{% macro times_fraction(amount, numerator, denominator) -%}
  {%- set product -%}(({{ amount }})::decimal(38, 0) * {{ numerator }}){%- endset -%}
  {%- set rest -%}mod({{ product }}, {{ denominator }}){%- endset -%}
  {%- set whole -%}(({{ product }} - {{ rest }}) / {{ denominator }})::decimal(38, 0){%- endset -%}
  ({{ whole }} + case
    when 2 * {{ rest }} > {{ denominator }} or (2 * {{ rest }} = {{ denominator }} and mod({{ whole }}, 2) = 1) then 1
    else 0
  end)::bigint
{%- endmacro %}
