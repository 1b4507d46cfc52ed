{# What a payment says was refunded is the sum of its refunds that succeeded. A source without any refund (payments
   loaded from a file) has nothing to compare. #}
{% test refunds_agree(model, refunds) %}
with made as (
  select transaction_id, sum(amount_minor) as refunded_minor
  from {{ refunds }}
  where status = 'succeeded' and not is_deleted
  group by transaction_id
)
select payment.transaction_id, payment.refunded_minor, made.refunded_minor as made_minor
from {{ model }} as payment
left join made on made.transaction_id = payment.transaction_id
where not payment.is_deleted
  and payment.refunded_minor <> coalesce(made.refunded_minor, 0)
  and exists (select 1 from {{ refunds }})
{% endtest %}
