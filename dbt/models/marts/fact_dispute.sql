{{ config(
    unique_key='dispute_id',
    pre_hook="{{ delete_vanished('stg_disputes', 'disputes', 'dispute_id', 'status') }}"
) }}
{% set members = [merchant()] -%}
{% set touched -%}
  {% if is_incremental() -%}
    {{ touched_keys(ref('stg_disputes'), 'disputes', 'dispute_id') }}
    union
    {{ rekeyed('dispute_id', members) }}
  {%- endif %}
{%- endset -%}
with {{ latest_states('stg_disputes', 'disputes', 'dispute_id', 'status', touched | trim) }}
select
  states.dispute_id,
  states.transaction_id,
  coalesce(created.date_key, -1) as created_date_key,
  coalesce(dim_merchant.merchant_key, -1) as merchant_key,
  states.merchant_id,
  states.epoch,
  states.version,
  states.status,
  states.reason_code,
  states.currency,
  states.amount_minor,
  states.amount_usd_minor,
  states.usd_rate,
  states.usd_rate_date,
  states.is_transaction_known,
  states.evidence_due_at,
  states.reason_code = 'fraudulent' as is_fraud,
  states.is_deleted,
  states.created_at,
  states.created_date,
  states.updated_at,
  states.state_sequence as load_sequence
from states
left join {{ ref('dim_date') }} as created on created.calendar_date = states.created_date
{{ join_members(members) }}
