/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka, after the headers that it needs. */
#ifndef KINGLET_TESTS_UNIT_H
#define KINGLET_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A test between the setup() and the teardown() of its file. */
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
