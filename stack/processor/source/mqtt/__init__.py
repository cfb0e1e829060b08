"""Events from the sessions of an MQTT broker."""
