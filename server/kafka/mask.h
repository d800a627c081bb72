/*
 * Card numbers in bytes that leave for the dead-letter topic, where more people look than should see one.
 *
 *     "pan":"4111 1111 1111 1111"  ─►  "pan":"4111 11** **** 1111"
 *
 * A card number is 13 to 19 digits, a space or '-' allowed between any two, that begins as those of the card networks do
 * (2 to 6) and satisfies the Luhn check (ISO/IEC 7812-1). The first six and the last four digits stay, which is what may be
 * shown (PCI DSS 3.4.1). One in ten other numbers of that length passes the check and is masked as well.
 */
#pragma once

#include <stddef.h>

/* Masks in place, whatever the bytes are. Returns how many numbers. */
size_t mask_cards(char *text, size_t len);
