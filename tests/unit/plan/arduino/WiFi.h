// As in the core of the ESP32.
#pragma once
#include "Arduino.h"

enum wl_status_t { WL_IDLE_STATUS = 0, WL_CONNECTED = 3 };
struct Client {};
struct WiFiClient : Client {};
struct WiFiClass {
  void begin(const char*, const char*) {}
  wl_status_t status() { return WL_CONNECTED; }
};
inline WiFiClass WiFi;
