"""Any camera: Home Assistant as a bridge of its own, for every `camera` and `image` entity that it has.

It says and hears on MQTT what every bridge does, so that entities, plans, orders and films come by
themselves. Read in the order of the data: `sequence` decides, `source` obeys with `pictures`, `records`
describes, `spool` keeps, `upload` delivers by `tus`; `deployed` keeps what a restart without a broker goes on
by, `desk` answers commands and `bridge` holds them together.
"""
