{# How incremental models converge whatever the order of loads and wherever a run was killed.

   Each row carries the highest load_sequence that brought or removed anything of its key: a pure function of what is
   landed. The highest one in the model is what it has seen; everything above is recomputed from all that is known.
   Recomputing too much is harmless; a watermark kept anywhere else could get ahead of the rows and lose some. #}

{% macro seen(column='load_sequence') -%}
  (select coalesce(max({{ column }}), 0) from {{ this }})
{%- endmacro %}

{# Keys of a landing table that changed or vanished in loads this model has not seen. #}
{% macro touched_keys(versions, dataset, key) -%}
  select {{ key }} from {{ versions }} where load_sequence > {{ seen() }}
  union
  select removed_key from {{ ref('stg_removed_keys') }} where dataset = '{{ dataset }}' and load_sequence > {{ seen() }}
{%- endmacro %}

{# Highest load that took a key away, by key. #}
{% macro removals(dataset) -%}
  select removed_key, max(load_sequence) as load_sequence
  from {{ ref('stg_removed_keys') }}
  where dataset = '{{ dataset }}'
  group by removed_key
{%- endmacro %}

{# Before an increment: rows whose key has nothing left. delete+insert replaces only keys that still have rows.
   A delete that brings no values (`value` is null) is nothing by itself. #}
{% macro delete_vanished(versions, dataset, key, value) -%}
  {% if is_incremental() %}
    delete from {{ this }}
    where {{ key }} in (select removed_key from {{ ref('stg_removed_keys') }} where dataset = '{{ dataset }}')
      and not exists (
        select 1 from {{ ref(versions) }} as kept where kept.{{ key }} = {{ this }}.{{ key }} and kept.{{ value }} is not null
      )
  {% endif %}
{%- endmacro %}

{# As above for a dimension: an inferred member stays as long as a payment names it. #}
{% macro delete_vanished_members(versions, dataset, references, key) -%}
  {% if is_incremental() %}
    delete from {{ this }}
    where (
        is_inferred
        or {{ key }} in (select removed_key from {{ ref('stg_removed_keys') }} where dataset = '{{ dataset }}')
      )
      and not exists (select 1 from {{ ref(versions) }} as kept where kept.{{ key }} = {{ this }}.{{ key }})
      and not exists (select 1 from {{ ref(references) }} as named where named.{{ key }} = {{ this }}.{{ key }})
  {% endif %}
{%- endmacro %}

{# As above for an aggregate by day: dates that lost all their payments. #}
{% macro delete_vanished_dates() -%}
  {% if is_incremental() %}
    delete from {{ this }}
    where created_date in (select created_date from {{ ref('stg_removed_keys') }} where dataset = 'transactions')
      and created_date not in (select created_date from {{ ref('fact_transaction') }})
  {% endif %}
{%- endmacro %}

{% macro month_of(day) -%}cast(date_trunc('month', {{ day }}) as date){%- endmacro %}

{# The order of versions of one key as a number. Of two landings of one position the later day wins, whichever was
   loaded first. #}
{% macro position_of(versions) -%}
  ({{ versions }}.epoch::decimal(38, 0) * 100000000000000000000
    + {{ versions }}.version::decimal(38, 0) * 10000000000
    + ({{ versions }}.partition_date - date '1970-01-01'))
{%- endmacro %}

{# Of each key the row with the highest position, and in key_sequence the highest load of any of its rows. Most keys have
   one row, which then is it: only keys with several are looked for again, so that the wide rows pass by a small table
   instead of meeting one as long as themselves. `touched` gives the keys wanted, `but` keys to leave out. #}
{% macro latest_rows(versions, key, touched=none, but=none) -%}
  select
    versions.*,
    coalesce(repeated.key_sequence, versions.load_sequence) as key_sequence
  from {{ versions }} as versions
  left join (
    select
      candidate.{{ key }} as repeated_key,
      max({{ position_of('candidate') }}) as position,
      max(candidate.load_sequence) as key_sequence
    from {{ versions }} as candidate
    {% if touched %}where candidate.{{ key }} in ({{ touched }}){% endif %}
    group by candidate.{{ key }}
    having count(*) > 1
  ) as repeated on repeated.repeated_key = versions.{{ key }}
  where (repeated.position is null or repeated.position = {{ position_of('versions') }})
    {% if touched %}and versions.{{ key }} in ({{ touched }}){% endif %}
    {% if but %}and versions.{{ key }} not in ({{ but }}){% endif %}
{%- endmacro %}

{# The last known state of each key as a relation `states`: the row with the highest position, with state_sequence, the
   highest load that brought or took anything of the key. Without `touched`, of every key.

   A delete that brings no values takes those of the last version that has them. `value` is a column that only such a
   delete lacks. Without any version that has values the delete is left out, or kept as it is (`keeps_bare`). Keys with
   such a delete are few and settled apart: the others are read once, and never kept in memory whole. #}
{% macro latest_states(versions, dataset, key, value, touched=none, keeps_bare=false) -%}
bare_keys as (
  select {{ key }} from {{ ref(versions) }} where {{ value }} is null
  {% if touched %}and {{ key }} in ({{ touched }}){% endif %}
  group by {{ key }}
),
bare_latest as (
  {{ latest_rows(ref(versions), key, 'select ' ~ key ~ ' from bare_keys') }}
),
valued as (
  select
    versions.{{ key }},
    max({{ position_of('versions') }}) as position
  from {{ ref(versions) }} as versions
  where versions.{{ key }} in (select {{ key }} from bare_keys) and versions.{{ value }} is not null
  group by versions.{{ key }}
),
settled as (
  {{ latest_rows(ref(versions), key, touched, 'select ' ~ key ~ ' from bare_keys') }}
  union all
  select * from bare_latest where {{ value }} is not null
  union all
  select
    carried.* replace (
      bare.epoch as epoch, bare.version as version, bare.updated_at as updated_at, bare.is_deleted as is_deleted
    ),
    bare.key_sequence
  from bare_latest as bare
  inner join valued on valued.{{ key }} = bare.{{ key }}
  inner join {{ ref(versions) }} as carried
    on carried.{{ key }} = valued.{{ key }}
    and {{ position_of('carried') }} = valued.position
  where bare.{{ value }} is null
  {% if keeps_bare -%}
  union all
  select * from bare_latest where {{ value }} is null and {{ key }} not in (select {{ key }} from valued)
  {%- endif %}
),
removed as (
  {{ removals(dataset) }}
),
states as (
  select
    settled.*,
    greatest(settled.key_sequence, coalesce(removed.load_sequence, 0)) as state_sequence
  from settled
  left join removed on removed.removed_key = settled.{{ key }}
)
{%- endmacro %}
