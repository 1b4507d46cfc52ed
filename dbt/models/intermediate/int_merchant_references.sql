select merchant_id from {{ ref('stg_transactions') }} where merchant_id is not null
union
select merchant_id from {{ ref('stg_refunds') }} where merchant_id is not null
union
select merchant_id from {{ ref('stg_disputes') }} where merchant_id is not null
union
select merchant_id from {{ ref('stg_subscriptions') }} where merchant_id is not null
