{{ config(
    unique_key='payment_method_id',
    pre_hook="{{ delete_vanished_members(
      'stg_payment_methods', 'payment_methods', 'int_payment_method_references', 'payment_method_id'
    ) }}"
) }}
-- The last state decides (type 1): what a card was at the time of a payment does not change with it.
{% set touched -%}
  {% if is_incremental() -%}
    {{ touched_keys(ref('stg_payment_methods'), 'payment_methods', 'payment_method_id') }}
    union
    select payment_method_id from {{ this }} where is_inferred
  {%- endif %}
{%- endset -%}
with {{ latest_states('stg_payment_methods', 'payment_methods', 'payment_method_id', 'method_type', touched | trim, keeps_bare=true) }},
members as (
  select
    payment_method_id, epoch, version, method_type, card_brand, card_funding, issuer_country_code,
    created_at, updated_at, is_deleted, false as is_inferred, state_sequence
  from states
  union all
  select
    named.payment_method_id, {{ nothing('integer') }}, {{ nothing('integer') }}, {{ nothing('varchar') }},
    {{ nothing('varchar') }}, {{ nothing('varchar') }}, {{ nothing('varchar') }},
    {{ nothing('timestamp with time zone') }}, {{ nothing('timestamp with time zone') }}, false, true,
    coalesce(removed.load_sequence, 0)
  from {{ ref('int_payment_method_references') }} as named
  left join removed on removed.removed_key = named.payment_method_id
  where not exists (
    select 1 from {{ ref('stg_payment_methods') }} as known where known.payment_method_id = named.payment_method_id
  )
)
select
  {{ hash_key(['payment_method_id']) }} as payment_method_key,
  payment_method_id, epoch, version, method_type, card_brand, card_funding, issuer_country_code,
  created_at, updated_at, is_deleted, is_inferred,
  state_sequence as load_sequence
from members
{% if not is_incremental() -%}
union all
select
  -1, {{ nothing('varchar') }}, {{ nothing('integer') }}, {{ nothing('integer') }}, {{ nothing('varchar') }},
  {{ nothing('varchar') }}, {{ nothing('varchar') }}, {{ nothing('varchar') }},
  {{ nothing('timestamp with time zone') }}, {{ nothing('timestamp with time zone') }}, false, false, 0
{%- endif %}
