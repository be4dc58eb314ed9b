{{ config(slice=since_slice('known_on')) }}

-- Grain: change of what is known of an invoice. A version adds itself at its known day and takes itself
-- back at the day it is superseded, so a correction is minus the old and plus the new on one day.
select
    * except (change),
    change.known_on,
    change.sign
from (
    select
        * except (known_day, superseded_day),
        explode(
            case
                when superseded_day is null then array(struct(known_day as known_on, 1L as sign))
                else array(struct(known_day as known_on, 1L as sign), struct(superseded_day as known_on, -1L as sign))
            end
        ) as change
    from {{ ref('int_invoice_interval') }}
)
where {{ since_slice('change.known_on') }}
-- Files in the order of days: windows of a year, and what was taken back, are read without the rest.
sort by sign, direction, issued_on
