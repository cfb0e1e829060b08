// What a sketch has without an include: as much of it as ours need, for a compiler of this machine.
#pragma once
#include <cstdint>
#include <cstdio>
#include <functional>

typedef uint8_t byte;
inline unsigned long millis() { return 1; }
inline void delay(unsigned long) {}

struct Printer {
  void begin(unsigned long) {}
  void print(const char* text) { printf("%s", text); }
  void println(const char* text) { printf("%s\n", text); }
  void println(int number) { printf("%d\n", number); }
  void println() { printf("\n"); }
  size_t write(const uint8_t* data, size_t size) { return fwrite(data, 1, size, stdout); }
};
inline Printer Serial;
