"""The sandbox provider: a counterpart on loopback that speaks the Messages API and shares no code
with the gateway it answers."""
