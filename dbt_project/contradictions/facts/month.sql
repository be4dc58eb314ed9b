{# One row per calendar month in which anything was invoiced. #}
select distinct month, cast(date_trunc('quarter', month) as date) as quarter from {{ fact('invoice') }}
