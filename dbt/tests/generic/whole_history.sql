{# Per natural key: begins at the first moment, each version ends where the next begins, only the last is current. #}
{% test whole_history(model, natural_key) %}
with ordered as (
  select
    {{ natural_key }}, effective_from, effective_to, is_current,
    lag(effective_to) over (partition by {{ natural_key }} order by effective_from) as previous_to,
    lead(effective_from) over (partition by {{ natural_key }} order by effective_from) as next_from
  from {{ model }}
)
select {{ natural_key }}, effective_from, effective_to
from ordered
where effective_from >= effective_to
  or effective_from <> coalesce(previous_to, {{ first_moment() }})
  or effective_to <> coalesce(next_from, {{ last_moment() }})
  or is_current <> (next_from is null)
{% endtest %}
