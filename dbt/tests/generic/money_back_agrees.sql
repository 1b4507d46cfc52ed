{# What a payment says went back is the sum of its refunds that succeeded and of the disputes that the merchant lost. A
   source without any of them (payments loaded from a file) has nothing to compare. #}
{% test money_back_agrees(model, refunds, disputes) %}
with parts as (
  select transaction_id, amount_minor from {{ refunds }} where status = 'succeeded' and not is_deleted
  union all
  select transaction_id, amount_minor from {{ disputes }} where status = 'lost' and not is_deleted
),
gone as (
  select transaction_id, sum(amount_minor) as amount_minor
  from parts
  group by transaction_id
)
select payment.transaction_id, payment.refunded_minor, gone.amount_minor
from {{ model }} as payment
left join gone on gone.transaction_id = payment.transaction_id
where not payment.is_deleted
  and payment.refunded_minor <> coalesce(gone.amount_minor, 0)
  and (exists (select 1 from {{ refunds }}) or exists (select 1 from {{ disputes }}))
{% endtest %}
