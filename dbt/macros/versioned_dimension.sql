{# A slowly changing dimension (type 2): all versions of each touched natural key, computed anew.

   The source's position (epoch, version) decides which state is newer, updated_at when a state began. A version whose
   time is not before that of every later version was never visible (a clock set back, a correction dated earlier) and
   is left out; so intervals never overlap. The first reaches back to the first moment, the last is current, deletes
   are versions, and one that brings no values (`value` is null) keeps those before. A key that a payment names before any change of it is seen gets one inferred member, whose key equals
   that of the first real version. #}
{% macro versioned_dimension(versions, dataset, references, natural_key, surrogate_key, attributes, value) -%}
with versions as (
  select * from {{ ref(versions) }}
  {% if is_incremental() -%}
  where {{ natural_key }} in (
    {{ touched_keys(ref(versions), dataset, natural_key) }}
    union
    select {{ natural_key }} from {{ this }} where is_inferred
  )
  {%- endif %}
),
landed as (
  select
    *,
    max(load_sequence) over (partition by {{ natural_key }}) as key_sequence
  from versions
  qualify row_number() over (partition by {{ natural_key }}, epoch, version order by partition_date desc) = 1
),
carried as (
  select
    {{ natural_key }}, epoch, version, created_at, updated_at, is_deleted, key_sequence,
    {%- for name in attributes %}
    max({{ name }}) over (partition by {{ natural_key }}, valued_count) as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
  from (
    select *, count({{ value }}) over (partition by {{ natural_key }} order by epoch, version) as valued_count
    from landed
  ) as counted
),
superseded as (
  select
    *,
    min(updated_at) over (
      partition by {{ natural_key }} order by epoch, version
      rows between 1 following and unbounded following
    ) as superseded_at
  from carried
),
visible as (
  select
    *,
    row_number() over (partition by {{ natural_key }} order by epoch, version) as position
  from superseded
  where superseded_at is null or updated_at < superseded_at
),
members as (
  select
    {{ natural_key }}, epoch, version,
    {%- for name, type in attributes.items() %} {{ name }},{% endfor %}
    created_at,
    case when position = 1 then {{ first_moment() }} else updated_at end as effective_from,
    coalesce(superseded_at, {{ last_moment() }}) as effective_to,
    superseded_at is null as is_current,
    is_deleted,
    false as is_inferred,
    key_sequence
  from visible
  union all
  select
    named.{{ natural_key }}, {{ nothing('integer') }}, {{ nothing('integer') }},
    {%- for name, type in attributes.items() %} {{ nothing(type) }},{% endfor %}
    {{ nothing('timestamp with time zone') }}, {{ first_moment() }}, {{ last_moment() }}, true, false, true, 0
  from {{ ref(references) }} as named
  where not exists (
    select 1 from {{ ref(versions) }} as known where known.{{ natural_key }} = named.{{ natural_key }}
  )
),
removed as (
  {{ removals(dataset) }}
)
select
  {{ hash_key([natural_key, micros('effective_from')]) }} as {{ surrogate_key }},
  {{ natural_key }}, epoch, version,
  {%- for name, type in attributes.items() %} {{ name }},{% endfor %}
  created_at, effective_from, effective_to, is_current, is_deleted, is_inferred,
  greatest(key_sequence, coalesce(removed.load_sequence, 0)) as load_sequence
from members
left join removed on removed.removed_key = members.{{ natural_key }}
{% if not is_incremental() -%}
union all
select
  -1, {{ nothing('varchar') }}, {{ nothing('integer') }}, {{ nothing('integer') }},
  {%- for name, type in attributes.items() %} {{ nothing(type) }},{% endfor %}
  {{ nothing('timestamp with time zone') }}, {{ first_moment() }}, {{ last_moment() }}, true, false, false, 0
{%- endif %}
{%- endmacro %}
