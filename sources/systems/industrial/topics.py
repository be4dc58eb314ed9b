"""The platform's topics: what each message says, and how its way to the platform spoils order, time and number.

A topic's query gives one row an event: `id` (never shown), `device` (what goes offline and has a clock), `key`,
`event_type`, `stamp` (the time the event speaks of), `ready_at` (when the device had it ready) and `body`. Parties
appear by the platform's own member numbers where they are members, else by the name the partner typed.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import duckdb

from sources.economy.schema import FIRST_BANK
from sources.systems.clock import world_days
from sources.systems.projection import make_subjects

BLOCK_HOURS = 6
ENERGY_IN_WH_FROM = 0.6  # share of the world's days after which machines report schema 2: energy in watt-hours
HORIZON_DAYS = 8  # no message arrives later than this after its event


@dataclass(frozen=True)
class Traits:
    """How messages of a topic reach the platform; shares are of messages, of devices, or of device-days."""

    delay_seconds: float = 20.0  # mean of the usual, exponential delay
    straggler_ratio: float = 0.0  # of messages that take hours
    straggler_hours: float = 36.0  # at most
    duplicate_ratio: float = 0.0  # of messages sent twice, with the same event_id
    outage_ratio: float = 0.0  # of device-days on which the connection breaks
    outage_hours: float = 48.0  # at most; then everything comes in a burst
    lost_ratio: float = 0.0  # of outages after which nothing comes
    constant_skew_ratio: float = 0.0  # of devices whose clock is off by up to 20 minutes
    drift_ratio: float = 0.0  # of devices whose clock drifts by up to 4 seconds a day
    zone_ratio: float = 0.0  # of devices that report UTC as if it were local time


@dataclass(frozen=True)
class Topic:
    """One topic: its query, with `{first}` and `{last}` for the days of events, and its traits."""

    name: str
    about: str
    query: str
    traits: Traits
    partitions: int = 3
    schema: str = "1"


MACHINE = Traits(
    straggler_ratio=0.01,
    duplicate_ratio=0.02,
    outage_ratio=0.004,
    lost_ratio=0.3,
    constant_skew_ratio=0.10,
    drift_ratio=0.05,
    zone_ratio=0.01,
)
OFFICE = Traits(delay_seconds=90, straggler_ratio=0.02, duplicate_ratio=0.005)
SENSOR = Traits(
    straggler_ratio=0.01, duplicate_ratio=0.02, outage_ratio=0.003, lost_ratio=0.3, constant_skew_ratio=0.05
)

_ORDER_BODY = """{
    'order_number': numbered('PO', order_id, 'order'),
    'buyer': {'member_id': b.member_id, 'name': b.name}, 'seller': {'member_id': s.member_id, 'name': s.name}, %s}"""
_ORDER_FROM = """trade_order o join party b on b.party_id = o.buyer_id join party s on s.party_id = o.seller_id
    where (b.on_platform or s.on_platform)"""
_ORDER_KEY = "coalesce(s.member_id, b.member_id)"
_DELIVERY_BODY = """{
    'waybill_number': numbered('WB', delivery_id, 'delivery'), 'order_number': numbered('PO', d.order_id, 'order'),
    'carrier_id': c.member_id, 'good': d.good, 'quantity_units': d.quantity_units,
    'from': {'member_id': s.member_id, 'name': s.name}, 'to': {'member_id': b.member_id, 'name': b.name}}"""
_DELIVERY_FROM = """delivery d join party b on b.party_id = d.buyer_id join party s on s.party_id = d.seller_id
    left join party c on c.party_id = d.carrier_id where (b.on_platform or s.on_platform)"""
_RECEIPT_FROM = """warehouse_receipt r join party o on o.party_id = r.owner_id
    left join party w on w.party_id = r.warehouse_id"""

TOPICS = (
    Topic(
        "platform.members",
        "Companies on the platform; a new message with the same member_id replaces the last",
        """
        select whole(concat_ws('|', 'member', firm_id, from_on)) as id, firm_id as device, "key" as key,
            'member' as event_type, office_time(greatest(from_on, first_of.day), firm_id, 'member') as stamp,
            stamp as ready_at,
            {'member_id': "key", 'name': s.name, 'uscc': uscc, 'address': s.address, 'phone': s.phone,
             'joined_on': greatest(min(from_on) over (partition by firm_id), first_of.day)} as body
        from subject s semi join member_firm using (firm_id), first_of
        qualify row_number() over (partition by firm_id, greatest(from_on, first_of.day) order by from_on desc) = 1
            and stamp::DATE between date '{first}' and date '{last}'
        union all
        select whole('member|' || party_id), party_id, member_id, 'member',
            first_of.day + interval 9 hours as stamp, stamp,
            {'member_id': member_id, 'name': name, 'uscc': uscc, 'address': null, 'phone': null,
             'joined_on': first_of.day}
        from party join outside_party using (party_id, name), first_of
        where member_id is not null and first_of.day between date '{first}' and date '{last}'""",
        Traits(duplicate_ratio=0.005),
        partitions=1,
    ),
    Topic(
        "platform.machines",
        "Machines when they are connected: owner, kind, maker, rating, whether leased",
        """
        select whole('machine|' || equipment_id) as id, equipment_id as device, machine as key,
            'machine' as event_type, office_time(connected_on, equipment_id, 'machine') as stamp, stamp as ready_at,
            {'machine_id': machine, 'member_id': member_id, 'kind': kind, 'maker': maker,
             'installed_on': installed_on, 'rated_kw': round(rated_kw::DOUBLE, 2),
             'rated_units_hour': round(rated_units_hour::DOUBLE, 3),
             'leased': leased} as body
        from connected where connected_on between date '{first}' and date '{last}'""",
        Traits(duplicate_ratio=0.005),
        partitions=1,
    ),
    Topic(
        "platform.equipment-readings",
        f"Hourly readings of a machine in blocks of {BLOCK_HOURS} hours, as its gateway sends them",
        f"""
        with block as (
            select equipment_id, time_bucket(interval {BLOCK_HOURS} hours, hour_at) as stamp,
                list(date_diff('hour', stamp, hour_at) order by hour_at) as hours,
                list(running_minutes order by hour_at) as running_minutes,
                list(output_units order by hour_at) as output_units,
                list(round(energy_kwh::DOUBLE, 3) order by hour_at) as energy_kwh,
                list(round(temperature_c::DOUBLE, 2) order by hour_at) as temperature_c,
                list(round(vibration_mm_s::DOUBLE, 3) order by hour_at) as vibration_mm_s,
                list(alarm_code order by hour_at) as alarm_code
            from equipment_hour where hour_at >= date '{{first}}' and hour_at < date '{{last}}' + 1
            group by equipment_id, stamp
        )
        select whole('readings|' || equipment_id || '|' || epoch(stamp)) as id, equipment_id as device,
            machine as key, 'readings' as event_type, stamp, stamp + interval {BLOCK_HOURS} hours as ready_at,
            {{'machine_id': machine,
             'sequence': date_diff('hour', connected_on::TIMESTAMP, stamp) // {BLOCK_HOURS} + 1,
             'hours': hours, 'running_minutes': running_minutes, 'output_units': output_units,
             'energy': if(stamp < {{switch}}, energy_kwh, list_transform(energy_kwh, lambda e: round(e * 1000))),
             'temperature_c': temperature_c, 'vibration_mm_s': vibration_mm_s, 'alarm_code': alarm_code}} as body
        from block join connected using (equipment_id)""",
        MACHINE,
        schema="if(stamp < {switch}, 1, 2)",
    ),
    Topic(
        "platform.production",
        "A connected company's production and stock of a day, sent after midnight",
        """
        select whole('production|' || firm_id || '|' || day) as id, firm_id as device, member_id as key,
            'production_day' as event_type, day::TIMESTAMP as stamp,
            day + interval 1 day + interval 5 minutes as ready_at,
            {'member_id': member_id, 'good': good, 'output_units': output_units, 'defect_units': defect_units,
             'wip_units': wip_units, 'finished_units': finished_units, 'raw_units': raw_units,
             'line_utilisation_ratio': round(line_utilisation_ratio::DOUBLE, 4)} as body
        from production_day join party on party_id = firm_id
        where day between date '{first}' and date '{last}'""",
        Traits(straggler_ratio=0.02, duplicate_ratio=0.01, outage_ratio=0.004, lost_ratio=0.3),
    ),
    Topic(
        "platform.orders",
        "Orders with a member on one side at least: placed, cancelled",
        f"""
        select whole('placed|' || order_id) as id, o.seller_id as device, {_ORDER_KEY} as key,
            'order_placed' as event_type, office_time(ordered_on, order_id, 'order') as stamp, stamp as ready_at,
            to_json({
            _ORDER_BODY % "'good': good, 'quantity_units': quantity_units, 'unit_price_fen': unit_price_fen, "
            "'amount_fen': amount_fen, 'due_on': due_on"
        }) as body
        from {_ORDER_FROM} and ordered_on between date '{{first}}' and date '{{last}}'
        union all
        select whole('cancelled|' || order_id), o.seller_id, {_ORDER_KEY}, 'order_cancelled',
            greatest(office_time(cancelled_on, order_id, 'cancel'),
                office_time(ordered_on, order_id, 'order') + interval 1 minute) as stamp, stamp,
            to_json({_ORDER_BODY % "'good': good"})
        from {_ORDER_FROM} and cancelled_on between date '{{first}}' and date '{{last}}'""",
        OFFICE,
    ),
    Topic(
        "platform.logistics",
        "Waybills: shipped, received; returns have negative units",
        f"""
        select whole('shipped|' || delivery_id) as id, d.seller_id as device, {_ORDER_KEY} as key,
            'shipped' as event_type, office_time(shipped_on, delivery_id, 'ship') as stamp, stamp as ready_at,
            to_json({_DELIVERY_BODY}) as body
        from {_DELIVERY_FROM} and shipped_on between date '{{first}}' and date '{{last}}'
        union all
        select whole('received|' || delivery_id), d.seller_id, {_ORDER_KEY}, 'received',
            greatest(office_time(received_on, delivery_id, 'receive'),
                office_time(shipped_on, delivery_id, 'ship') + interval 20 minutes) as stamp, stamp,
            to_json({_DELIVERY_BODY})
        from {_DELIVERY_FROM} and received_on between date '{{first}}' and date '{{last}}'""",
        Traits(delay_seconds=600, straggler_ratio=0.04, duplicate_ratio=0.01),
    ),
    Topic(
        "platform.warehouse-receipts",
        "Warehouse receipts: issued, released",
        f"""
        select whole('issued|' || receipt_id) as id, r.warehouse_id as device,
            numbered('WR', receipt_id, 'receipt') as key, 'receipt_issued' as event_type,
            office_time(issued_on, receipt_id, 'issue') as stamp, stamp as ready_at,
            to_json({{'receipt_number': numbered('WR', receipt_id, 'receipt'), 'warehouse_id': w.member_id,
             'owner': {{'member_id': o.member_id, 'name': o.name}}, 'good': good, 'quantity_units': quantity_units,
             'lot_code': lot_code,
             'pledged_to': 'B' || lpad(({FIRST_BANK} - pledged_to_id)::VARCHAR, 2, '0')}}) as body
        from {_RECEIPT_FROM} where issued_on between date '{{first}}' and date '{{last}}'
        union all
        select whole('released|' || receipt_id), r.warehouse_id, numbered('WR', receipt_id, 'receipt'),
            'receipt_released', greatest(office_time(released_on, receipt_id, 'release'),
                office_time(issued_on, receipt_id, 'issue') + interval 5 minutes) as stamp, stamp,
            to_json({{'receipt_number': numbered('WR', receipt_id, 'receipt'), 'warehouse_id': w.member_id}})
        from {_RECEIPT_FROM} where released_on between date '{{first}}' and date '{{last}}'""",
        Traits(delay_seconds=60, duplicate_ratio=0.005),
        partitions=1,
    ),
    Topic(
        "platform.warehouse-sensors",
        "One reading a sensor, lot and day",
        """
        select whole(concat_ws('|', 'sensor', receipt_id, day, sensor)) as id,
            whole(receipt_id || sensor) as device, numbered('WR', receipt_id, 'receipt') as key,
            'sensor_reading' as event_type,
            day + to_seconds(75600 + floor(3600 * noise(device, 'shift'))::BIGINT) as stamp, stamp as ready_at,
            {'receipt_number': numbered('WR', receipt_id, 'receipt'), 'sensor': sensor,
             'sensor_id': lower(to_hex(device)), 'reading': round(reading::DOUBLE, 3),
             'door_openings': door_openings} as body
        from warehouse_sensor where day between date '{first}' and date '{last}'""",
        SENSOR,
    ),
)


def prepare(connection: duckdb.DuckDBPyConnection, world: Path) -> None:
    """Makes the lookups of all topics: members, parties by name, connected machines."""
    make_subjects(connection, world, "platform")
    start, _ = world_days(world)
    connection.execute(f"""
        create temp macro numbered(prefix, id, kind) as prefix || lpad(own_number(id, kind)::VARCHAR, 13, '0');
        create temp table first_of as select date '{start}' as day;
        create temp table member_firm as
        select firm_id from firm where on_platform union select firm_id from equipment
        union select firm_id from production_day union select warehouse_id from warehouse_receipt
        union select carrier_id from delivery;
        create temp table party as
        select firm_id as party_id, if(m.firm_id is null, null, "key") as member_id, name,
            m.firm_id is not null as on_platform
        from firm join subject_key using (firm_id) left join member_firm m using (firm_id)
        union all
        select party_id, if(m.firm_id is null, null, numbered('M-', party_id, 'outside member')), name, false
        from outside_party left join member_firm m on m.firm_id = party_id;
        create temp table connected as
        select e.*, member_id, numbered('EQ', equipment_id, 'equipment') as machine,
            greatest(installed_on, first_of.day) as connected_on
        from equipment e join party on party_id = firm_id, first_of""")


def arrivals(topic: Topic, world: Path, first: dt.date, last: dt.date) -> str:
    """The query for the messages that the platform receives on the days from `first` to `last`, in their order.

    Columns: `received_at`, `key`, `value` (JSON).
    """
    start, end = world_days(world)
    switch = f"timestamp '{start + dt.timedelta(days=round(ENERGY_IN_WH_FROM * (end - start).days))}'"
    begin = first - dt.timedelta(days=HORIZON_DAYS)
    events = topic.query.replace("{first}", str(begin)).replace("{last}", str(last)).replace("{switch}", switch)
    return f"""
    with event as materialized ({events}),
    outage as materialized ({_outages(topic.traits, begin, last)}),
    held as ({_HELD}),
    sent as ({_delays(topic.traits)}),
    told as (select *, {_reported(topic.traits, start)} as reported_at from sent),
    copied as (
        from told union all
        select * replace (received_at + to_seconds(1 + floor(1800 * noise(id, 'copied'))::BIGINT) as received_at)
        from told where noise(id, 'duplicate') < {topic.traits.duplicate_ratio}
    )
    select received_at, key, '{{"schema_version":' || {topic.schema.replace("{switch}", switch)}
        || ',"event_id":"' || lower(lpad(to_hex(id), 16, '0')) || '","event_type":"' || event_type
        || '","event_at":"' || strftime(reported_at, '%Y-%m-%dT%H:%M:%S+08:00') || '",'
        || substr(to_json(body)::VARCHAR, 2) as value
    from copied where received_at >= date '{first}' and received_at < date '{last}' + 1
    order by received_at, id"""


def _outages(traits: Traits, begin: dt.date, last: dt.date) -> str:
    """Breaks of a device's connection: from when to when, and whether what was held is lost."""
    longest = dt.timedelta(hours=traits.outage_hours, days=1)
    return f"""
    select device, start_at, end_at, noise(number, 'lost') < {traits.lost_ratio} as lost
    from (
        select device, whole(device || '|' || day::DATE) as number,
            day + to_seconds(floor(86400 * noise(number, 'outage start'))::BIGINT) as start_at,
            start_at + to_seconds(floor(3600 * (2 + {traits.outage_hours - 2} * noise(number, 'outage hours')))::BIGINT)
                as end_at
        from (select distinct device from event),
            range(timestamp '{begin - longest}', timestamp '{last}' + interval 1 day, interval 1 day) days(day)
        where noise(number, 'outage') < {traits.outage_ratio}
    )"""


_HELD = """
    select event.*, held_until
    from event left join (
        select id, max(end_at) as held_until, bool_or(lost) as lost
        from event join outage on event.device = outage.device and ready_at >= start_at and ready_at < end_at
        group by id
    ) stopped using (id)
    where lost is not true"""


def _delays(traits: Traits) -> str:
    """When the platform receives a message: soon, hours later, or in the burst after an outage."""
    return f"""
    select *, least(ready_at + to_seconds({HORIZON_DAYS - 2} * 86400), coalesce(held_until, ready_at) + to_seconds(
        1 + floor(-ln(1 - noise(id, 'delay')) * {traits.delay_seconds})::BIGINT
        + if(noise(id, 'straggler') < {traits.straggler_ratio},
            floor({3600 * traits.straggler_hours} * noise(id, 'straggling'))::BIGINT, 0))) as received_at
    from held"""


def _reported(traits: Traits, start: dt.date) -> str:
    """The event's time by the device's own clock."""
    constant = traits.constant_skew_ratio
    drift = constant + traits.drift_ratio
    zone = drift + traits.zone_ratio
    if not zone:
        return "stamp"
    return f"""stamp + to_seconds(case
        when noise(device, 'clock') < {constant} then round(2400 * (noise(device, 'skew') - 0.5))
        when noise(device, 'clock') < {drift}
            then round(8 * (noise(device, 'skew') - 0.5) * date_diff('day', date '{start}', stamp::DATE))
        when noise(device, 'clock') < {zone} then -28800 else 0 end::BIGINT)"""
