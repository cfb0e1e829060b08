"""The alerter: what functions send to iot/alerts, as alerts that people are told of."""
