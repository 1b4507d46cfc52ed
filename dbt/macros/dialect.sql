{# The few places where warehouses speak differently. Everything else in models/ is SQL that both understand. #}

{# 60 bits of md5 over the parts as a positive integer: the same number on every engine, so keys survive a move. #}
{% macro hash_key(parts) -%}
  {{ return(adapter.dispatch('hash_key')(parts)) }}
{%- endmacro %}

{% macro default__hash_key(parts) -%}
  ('0x' || left(md5({{ parts | join(" || '|' || ") }}), 15))::bigint
{%- endmacro %}

{% macro snowflake__hash_key(parts) -%}
  to_number(left(md5({{ parts | join(" || '|' || ") }}), 15), 'XXXXXXXXXXXXXXX')::bigint
{%- endmacro %}

{# A moment as text that does not depend on session settings: microseconds since 1970. #}
{% macro micros(moment) -%}
  {{ return(adapter.dispatch('micros')(moment)) }}
{%- endmacro %}

{% macro default__micros(moment) -%}
  epoch_us({{ moment }})::varchar
{%- endmacro %}

{% macro snowflake__micros(moment) -%}
  date_part(epoch_microsecond, {{ moment }})::varchar
{%- endmacro %}

{# One row per day of [first, end) in a column calendar_date. #}
{% macro calendar(first, end) -%}
  {{ return(adapter.dispatch('calendar')(first, end)) }}
{%- endmacro %}

{% macro default__calendar(first, end) -%}
  select unnest(range(date '{{ first }}', date '{{ end }}', interval 1 day))::date as calendar_date
{%- endmacro %}

{% macro snowflake__calendar(first, end) -%}
  select dateadd(day, row_number() over (order by null) - 1, date '{{ first }}') as calendar_date
  from table(generator(rowcount => 40000))
  qualify calendar_date < date '{{ end }}'
{%- endmacro %}

{% macro iso_day_of_week(day) -%}{{ return(adapter.dispatch('iso_day_of_week')(day)) }}{%- endmacro %}
{% macro default__iso_day_of_week(day) -%}isodow({{ day }}){%- endmacro %}
{% macro snowflake__iso_day_of_week(day) -%}dayofweekiso({{ day }}){%- endmacro %}

{% macro iso_year(day) -%}{{ return(adapter.dispatch('iso_year')(day)) }}{%- endmacro %}
{% macro default__iso_year(day) -%}isoyear({{ day }}){%- endmacro %}
{% macro snowflake__iso_year(day) -%}yearofweekiso({{ day }}){%- endmacro %}

{% macro iso_week(day) -%}{{ return(adapter.dispatch('iso_week')(day)) }}{%- endmacro %}
{% macro default__iso_week(day) -%}weekofyear({{ day }}){%- endmacro %}
{% macro snowflake__iso_week(day) -%}weekiso({{ day }}){%- endmacro %}

{% macro first_moment() -%}timestamp with time zone '0001-01-01 00:00:00+00:00'{%- endmacro %}
{% macro last_moment() -%}timestamp with time zone '9999-12-31 00:00:00+00:00'{%- endmacro %}
{% macro nothing(type) -%}cast(null as {{ type }}){%- endmacro %}
