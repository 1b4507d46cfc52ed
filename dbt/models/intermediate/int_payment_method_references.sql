select distinct payment_method_id
from {{ ref('stg_transactions') }}
where payment_method_id is not null
