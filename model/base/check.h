/*
 * Checks of our own contracts; they stay in release builds. Outside input is never checked with these: it gets a status.
 */
#pragma once

/* Prints file, line and the condition to stderr and aborts. */
_Noreturn void check_failed(const char *file, int line, const char *condition);

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))
