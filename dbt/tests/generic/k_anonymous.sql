{# No published group of people is smaller than allowed. A group without a count shows no figure. #}
{% test k_anonymous(model, count_column, fewest) %}
select *
from {{ model }}
where {{ count_column }} < {{ fewest }}
{% endtest %}
