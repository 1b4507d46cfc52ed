select customer_token from {{ ref('stg_transactions') }} where customer_token is not null
union
select customer_token from {{ ref('stg_subscriptions') }} where customer_token is not null
union
select customer_token from {{ ref('stg_consents') }} where customer_token is not null
