select distinct merchant_id
from {{ ref('stg_transactions') }}
where merchant_id is not null
