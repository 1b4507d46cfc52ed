select distinct customer_token
from {{ ref('stg_transactions') }}
where customer_token is not null
