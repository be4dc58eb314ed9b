{#
    One row per registered name: the enterprise that bore it first, since when that is known, and until when no other one
    was known to bear it (`until_on`, empty while none is).
#}
with told as (
    select name, uscc as enterprise_id, min({{ known_on('known_at') }}) as known_on
    from {{ silver('registered_enterprise') }} where uscc is not null and name is not null group by name, uscc
), ordered as (
    select *, row_number() over (partition by name order by known_on, enterprise_id) as place,
        lead(known_on) over (partition by name order by known_on, enterprise_id) as until_on
    from told
)
select name, enterprise_id, known_on, until_on from ordered where place = 1
