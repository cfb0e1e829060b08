// What the library's header declares, as far as ours need it; it prints what it is asked for, and hears one command.
#pragma once
#include "WiFi.h"

#define MQTT_CALLBACK_SIGNATURE std::function<void(char*, uint8_t*, unsigned int)> callback

class PubSubClient {
  std::function<void(char*, uint8_t*, unsigned int)> heard;
  bool isIn = false;

public:
  PubSubClient(Client&) {}
  PubSubClient& setServer(const char* domain, uint16_t port) { printf("server %s %d\n", domain, port); return *this; }
  PubSubClient& setCallback(MQTT_CALLBACK_SIGNATURE) { heard = callback; return *this; }
  bool connect(const char* id, const char* user, const char* pass) {
    printf("connect %s %s %s\n", id, user, pass);
    return isIn = true;
  }
  bool publish(const char* topic, const char* payload) { return printf("publish %s %s\n", topic, payload) > 0; }
  bool subscribe(const char* topic, uint8_t qos) { return printf("subscribe %s %d\n", topic, qos) > 0; }
  bool loop() {
    char topic[] = "told";
    uint8_t payload[] = {'o', 'p', 'e', 'n'};
    heard(topic, payload, 4);
    return isIn;
  }
  bool connected() { return isIn; }
  int state() { return 0; }
};
