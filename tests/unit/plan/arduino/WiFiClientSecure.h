// As in the core of the ESP32.
#pragma once
#include "WiFi.h"

struct WiFiClientSecure : WiFiClient {
  void setCACert(const char* authority) { printf("authority %.27s\n", authority); }
  void setInsecure() { printf("insecure\n"); }
};
