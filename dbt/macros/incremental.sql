{# How incremental models converge whatever the order of loads and wherever a run was killed.

   Each row carries the highest load_sequence that brought or removed anything of its key: a pure function of what is
   landed. The highest one in the model is what it has seen; everything above is recomputed from all that is known.
   Recomputing too much is harmless; a watermark kept anywhere else could get ahead of the rows and lose some. #}

{% macro seen() -%}
  (select coalesce(max(load_sequence), 0) from {{ this }})
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

{# As above for an aggregate by month of payments, refunds and disputes. #}
{% macro delete_vanished_months() -%}
  {% if is_incremental() %}
    delete from {{ this }}
    where month_date in (
        select {{ month_of('created_date') }} from {{ ref('stg_removed_keys') }}
        where dataset in ('transactions', 'refunds', 'disputes')
      )
      and month_date not in (select {{ month_of('created_date') }} from {{ ref('merchant_daily') }})
      and month_date not in (select {{ month_of('created_date') }} from {{ ref('fact_refund') }})
      and month_date not in (select {{ month_of('created_date') }} from {{ ref('fact_dispute') }})
  {% endif %}
{%- endmacro %}

{% macro month_of(day) -%}cast(date_trunc('month', {{ day }}) as date){%- endmacro %}

{# Per key, where the row with the highest position lies, and the highest load of any of its rows. Of two landings of
   one position the later day wins, whichever was loaded first. Only narrow columns are read: sorting whole rows costs
   several times as much. The columns partition_date, epoch and version lead back to the row. #}
{% macro latest_position(versions, key, touched=none, condition='true') -%}
  {%- set position -%}
    epoch::decimal(38, 0) * 100000000000000000000
      + version::decimal(38, 0) * 10000000000
      + (partition_date - date '1970-01-01')
  {%- endset -%}
  select
    {{ key }},
    max_by(partition_date, {{ position }}) as partition_date,
    max_by(epoch, {{ position }}) as epoch,
    max_by(version, {{ position }}) as version,
    max(load_sequence) as key_sequence
  from {{ versions }}
  where {{ condition }}
    {% if touched %}and {{ key }} in ({{ touched }}){% endif %}
  group by {{ key }}
{%- endmacro %}

{# After a CTE `latest` (columns of `versions` and key_sequence): its rows, where a delete that brings no values takes
   those of the last version that has them. `value` is a column that only such a delete lacks. Without any version that
   has values the delete is left out, or kept as it is (`keeps_bare`). #}
{% macro settled(versions, key, value, keeps_bare=false) -%}
valued as (
  {{ latest_position(versions, key, 'select ' ~ key ~ ' from latest where ' ~ value ~ ' is null', value ~ ' is not null') }}
),
settled as (
  select * from latest where {{ value }} is not null
  union all
  select
    carried.* replace (
      bare.epoch as epoch, bare.version as version, bare.updated_at as updated_at, bare.is_deleted as is_deleted
    ),
    bare.key_sequence
  from latest as bare
  inner join valued on valued.{{ key }} = bare.{{ key }}
  inner join {{ versions }} as carried
    on carried.{{ key }} = valued.{{ key }}
    and carried.partition_date = valued.partition_date
    and carried.epoch = valued.epoch
    and carried.version = valued.version
  where bare.{{ value }} is null
  {% if keeps_bare -%}
  union all
  select * from latest where {{ value }} is null and {{ key }} not in (select {{ key }} from valued)
  {%- endif %}
)
{%- endmacro %}

{# The last known state of each key as a relation `states`: the row with the highest position, settled as above, with
   state_sequence, the highest load that brought or took anything of the key. Without `touched`, of every key. #}
{% macro latest_states(versions, dataset, key, value, touched=none, keeps_bare=false) -%}
picked as (
  {{ latest_position(ref(versions), key, touched) }}
),
latest as (
  select
    versions.*,
    picked.key_sequence
  from picked
  inner join {{ ref(versions) }} as versions
    on versions.{{ key }} = picked.{{ key }}
    and versions.partition_date = picked.partition_date
    and versions.epoch = picked.epoch
    and versions.version = picked.version
),
{{ settled(ref(versions), key, value, keeps_bare) }},
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
