/* SPDX-License-Identifier: GPL-2.0-or-later */
/* [QEMU] Monitor=, and the path that it means for one VM. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "bits.h"
#include "config_key.h"
#include "policy.h"
#include "qmp_path.h"

static const struct vm vm1 = {
	.pid = 4711,
	.name = "vm1",
	.uuid = "4dea22b3-1d52-d8f3-2516-782e98ab3fa0",
};

static void what_differs_between_vms_is_put_in(void **state)
{
	(void)state;
	static const struct {
		const char *form, *path;
	} cases[] = {
		{"/run/vms/%n/qmp", "/run/vms/vm1/qmp"},
		{"/run/%p-%p", "/run/4711-4711"},
		{"/run/%u", "/run/4dea22b3-1d52-d8f3-2516-782e98ab3fa0"},
		{"/run/100%%n", "/run/100%n"},
		{"/a", "/a"},
	};
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(qmp_path(cases[i].form, &vm1, path, sizeof(path)), 0);
		assert_string_equal(path, cases[i].path);
	}
}

static void what_is_no_form_is_refused(void **state)
{
	(void)state;
	static const char *const forms[] = {"run/%n", "/run/%", "/run/%x", "/run/\n", "/run/\x80"};
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		assert_int_equal(qmp_path(forms[i], &vm1, path, sizeof(path)), -EINVAL);
	assert_int_equal(qmp_path("", &vm1, path, sizeof(path)), -ENODATA);
}

/* libvirt waits for the one client that it serves: itself. */
static void the_monitor_of_libvirt_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *form;
		int expected;
	} cases[] = {
		{"/var/lib/libvirt/qemu/domain-1-%n/monitor.sock", -EPERM},
		{"/run/user/1000/libvirt/qemu/run/domain-12-x/monitor.sock", -EPERM},
		{"/domain-/monitor.sock", -EPERM},
		{"/var/lib/libvirt/qemu/domain-1-%n/thpd.sock", 0},
		{"/var/lib/libvirt/qemu/%n/monitor.sock", 0},
		{"/monitor.sock", 0},
		{"/domain-1/monitor.sock/x", 0},
		{"/domain-1/a/monitor.sock", 0},
		{"/domain-1-x/xmonitor.sock", 0},
	};
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(qmp_path(cases[i].form, &vm1, path, sizeof(path)),
				 cases[i].expected);
}

/* A VM chooses its name. */
static void a_name_leads_nowhere_else(void **state)
{
	(void)state;
	static const char *const names[] = {"", "..", ".", ".x", "../x", "a/b", "/"};
	struct vm vm = vm1;
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		memset(vm.name, 0, sizeof(vm.name));
		memcpy(vm.name, names[i], strlen(names[i]));
		assert_int_equal(qmp_path("/run/%n", &vm, path, sizeof(path)), -EINVAL);
		assert_int_equal(qmp_path("/run/%p", &vm, path, sizeof(path)), 0);
	}
	memset(vm.name, '%', 2); /* is not replaced again */
	vm.name[2] = '\0';
	assert_int_equal(qmp_path("/run/%n", &vm, path, sizeof(path)), 0);
	assert_string_equal(path, "/run/%%");
	vm.uuid[0] = '\0';
	assert_int_equal(qmp_path("/run/%u", &vm, path, sizeof(path)), -EINVAL);
}

static void a_path_fits_or_is_refused(void **state)
{
	(void)state;
	char path[9] = "";

	assert_int_equal(qmp_path("/run/%n", &vm1, path, sizeof(path)), 0); /* 8 and the NUL */
	assert_int_equal(qmp_path("/run/x%n", &vm1, path, sizeof(path)), -ENAMETOOLONG);
	assert_int_equal(qmp_path("/run/abcd", &vm1, path, sizeof(path)), -ENAMETOOLONG);
}

static void the_configuration_takes_a_form_or_none(void **state)
{
	(void)state;
	const struct config_key *key = config_key_find("QEMU", "monitor");
	struct policy policy = POLICY_INIT;
	char text[CONFIG_VALUE_TEXT_MAX], longest[POLICY_MONITOR_MAX + 1];

	assert_non_null(key);
	config_key_format(key, &policy, text, sizeof(text));
	assert_string_equal(text, "none");
	assert_int_equal(config_key_parse(key, "/run/vms/%n", &policy), 0);
	assert_string_equal(policy.monitor, "/run/vms/%n");
	config_key_format(key, &policy, text, sizeof(text));
	assert_string_equal(text, "/run/vms/%n");
	assert_int_equal(config_key_parse(key, "vms/%n", &policy), -EINVAL);
	assert_int_equal(config_key_parse(key, "/vms/%d", &policy), -EINVAL);
	assert_int_equal(config_key_parse(key, "", &policy), -EINVAL);
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[POLICY_MONITOR_MAX] = '\0';
	assert_int_equal(config_key_parse(key, longest, &policy), -ERANGE);
	assert_string_equal(policy.monitor, "/run/vms/%n");
	assert_int_equal(config_key_parse(key, "none", &policy), 0);
	assert_string_equal(policy.monitor, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_differs_between_vms_is_put_in),
		cmocka_unit_test(what_is_no_form_is_refused),
		cmocka_unit_test(the_monitor_of_libvirt_is_refused),
		cmocka_unit_test(a_name_leads_nowhere_else),
		cmocka_unit_test(a_path_fits_or_is_refused),
		cmocka_unit_test(the_configuration_takes_a_form_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
