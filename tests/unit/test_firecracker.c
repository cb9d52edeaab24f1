/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a Firecracker's own configuration says, and what a hostile one makes thpd read: nothing that
 * the process could not read itself, and nothing outside of its root. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bits.h"
#include "firecracker.h"

#define TRACKED "{\"machine-config\":{\"vcpu_count\":2,\"track_dirty_pages\":true}}"

enum { UID = 4321 };

/* ---- The text ------------------------------------------------------------------------------- */

static void check_text(const char *text, enum answer expected)
{
	if (firecracker_read_config(text, strlen(text)) != expected)
		fail_msg("%s: not %s", text, answer_name(expected));
}

static void a_configuration_is_read(void **state)
{
	static const struct {
		const char *text;
		enum answer expected;
	} cases[] = {
		{TRACKED, ANSWER_YES},
		{"\n { \"boot-source\": {\"kernel_image_path\": \"it's\"}, \"drives\": [],\n"
		 " \"machine-config\": { \"track_dirty_pages\": true } }\n\t\n",
		 ANSWER_YES},
		{"{\"machine-config\":{\"track_dirty_pages\":false}}", ANSWER_NO},
		{"{\"machine-config\":{\"mem_size_mib\":1}}", ANSWER_NO},
		{"{\"boot-source\":{}}", ANSWER_NO},
		{"{}", ANSWER_NO},
		/* Firecracker takes none of these. */
		{"{\"machine-config\":{\"track_dirty_pages\":\"true\"}}", ANSWER_NO},
		{"{\"machine-config\":{\"track_dirty_pages\":1}}", ANSWER_NO},
		{"{\"machine-config\":[true]}", ANSWER_NO},
		{"{\"track_dirty_pages\":true}", ANSWER_NO},
		{"{\"machine-config\":null}", ANSWER_NO},
		{TRACKED "x", ANSWER_UNKNOWN},
		{TRACKED TRACKED, ANSWER_UNKNOWN},
		{"[" TRACKED "]", ANSWER_UNKNOWN},
		{"true", ANSWER_UNKNOWN},
		{"", ANSWER_UNKNOWN},
		{"{", ANSWER_UNKNOWN},
		{"{\"machine-config\":{\"track_dirty_pages\":true", ANSWER_UNKNOWN},
		{"{'machine-config':{'track_dirty_pages':true}}", ANSWER_UNKNOWN},
		{"root:x:0:0:root:/root:/bin/bash\n", ANSWER_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_text(cases[i].text, cases[i].expected);
	/* The text ends where it ends. */
	assert_int_equal(firecracker_read_config(TRACKED "\0x", sizeof(TRACKED) + 1),
			 ANSWER_UNKNOWN);
	assert_int_equal(firecracker_read_config(TRACKED, sizeof(TRACKED) - 2), ANSWER_UNKNOWN);
}

static void what_costs_memory_is_refused(void **state)
{
	char text[FIRECRACKER_CONFIG_BYTES_MAX];

	(void)state;
	memset(text, '[', sizeof(text));
	assert_int_equal(firecracker_read_config(text, sizeof(text)), ANSWER_UNKNOWN);
	for (size_t i = 0; i + 3 < sizeof(text); i += 3)
		memcpy(text + i, "{},", 3);
	text[0] = '[';
	assert_int_equal(firecracker_read_config(text, sizeof(text)), ANSWER_UNKNOWN);
}

/* ---- The file ------------------------------------------------------------------------------- */

struct place {
	char path[64];
	struct process process;
};

static void put(const struct place *p, const char *name, const char *text, size_t size)
{
	int fd = openat(p->process.dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), size);
	(void)close(fd);
}

static void link_to(const struct place *p, const char *target, const char *name)
{
	assert_int_equal(symlinkat(target, p->process.dirfd, name), 0);
}

static int start(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	if (!p)
		return -1;
	(void)snprintf(p->path, sizeof(p->path), "/tmp/thpd-fc-XXXXXX");
	if (!mkdtemp(p->path))
		return -1;
	p->process = (struct process)PROCESS_INIT;
	p->process.dirfd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)mkdirat(p->process.dirfd, "root", 0755);
	(void)mkdirat(p->process.dirfd, "root/etc", 0755);
	(void)mkdirat(p->process.dirfd, "root/home", 0755);
	link_to(p, "root/home", "cwd");
	put(p, "outside", TRACKED, strlen(TRACKED));
	put(p, "root/etc/vm.json", TRACKED, strlen(TRACKED));
	put(p, "root/home/vm.json", TRACKED, strlen(TRACKED));
	*state = p;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int stop(void **state)
{
	struct place *p = *state;

	process_close(&p->process);
	(void)nftw(p->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(p);
	return 0;
}

static enum answer ask(const struct place *p)
{
	return firecracker_is_logged_for_life(&p->process, UID);
}

#define ASK(p, cmdline) (put(p, "cmdline", cmdline, sizeof(cmdline)), ask(p))

static void the_command_line_names_the_file(void **state)
{
	const struct place *p = *state;

	assert_int_equal(ASK(p, "fc\0--config-file\0/etc/vm.json"), ANSWER_YES);
	assert_int_equal(ASK(p, "fc\0--no-api\0--config-file\0/etc/vm.json\0--id\0a"), ANSWER_YES);
	assert_int_equal(ASK(p, "fc\0--config-file\0vm.json"), ANSWER_YES);
	assert_int_equal(ASK(p, "fc\0--config-file\0./vm.json"), ANSWER_YES);
	assert_int_equal(ASK(p, "fc\0--api-sock\0/run/fc.sock"), ANSWER_UNKNOWN);
	assert_int_equal(ASK(p, "fc\0--\0--config-file\0/etc/vm.json"), ANSWER_UNKNOWN);
	assert_int_equal(ASK(p, "fc\0--config-file\0/etc/other.json"), ANSWER_UNKNOWN);
	assert_int_equal(ASK(p, "fc\0--config-file"), ANSWER_UNKNOWN);
	assert_int_equal(ASK(p, "fc\0--config-file\0"), ANSWER_UNKNOWN);
	assert_int_equal(ASK(p, "fc\0--config-files\0/etc/vm.json"), ANSWER_UNKNOWN);
	assert_int_equal(ASK(p, ""), ANSWER_UNKNOWN);
	(void)unlinkat(p->process.dirfd, "cmdline", 0);
	assert_int_equal(ask(p), ANSWER_UNKNOWN);
}

/* What the file does not say may be said by the API socket, if there is one. */
static void no_is_certain_without_a_socket_only(void **state)
{
	const struct place *p = *state;

	put(p, "root/etc/vm.json", "{}", 2);
	assert_int_equal(ASK(p, "fc\0--config-file\0/etc/vm.json"), ANSWER_UNKNOWN);
	assert_int_equal(ASK(p, "fc\0--config-file\0/etc/vm.json\0--no-api"), ANSWER_NO);
	put(p, "root/etc/vm.json", "", 0);
	assert_int_equal(ASK(p, "fc\0--config-file\0/etc/vm.json\0--no-api"), ANSWER_UNKNOWN);
}

static void nothing_leads_out_of_the_root(void **state)
{
	const struct place *p = *state;
	char target[128];

	assert_int_equal(ASK(p, "fc\0--config-file\0/../outside"), ANSWER_UNKNOWN);
	assert_int_equal(ASK(p, "fc\0--config-file\0../../outside"), ANSWER_UNKNOWN);
	assert_int_equal(ASK(p, "fc\0--config-file\0../etc/vm.json"), ANSWER_UNKNOWN);
	link_to(p, "../../outside", "root/etc/out");
	assert_int_equal(ASK(p, "fc\0--config-file\0/etc/out"), ANSWER_UNKNOWN);
	(void)snprintf(target, sizeof(target), "%s/outside", p->path);
	link_to(p, target, "root/etc/absolute");
	assert_int_equal(ASK(p, "fc\0--config-file\0/etc/absolute"), ANSWER_UNKNOWN);
	/* As the process itself would find it. */
	link_to(p, "/home/vm.json", "root/etc/in");
	assert_int_equal(ASK(p, "fc\0--config-file\0/etc/in"), ANSWER_YES);
}

static void nothing_but_a_file_is_opened(void **state)
{
	const struct place *p = *state;
	char text[sizeof(TRACKED)];
	int fd;

	/* What is in a FIFO is for somebody else. */
	assert_int_equal(mkfifoat(p->process.dirfd, "root/etc/fifo", 0644), 0);
	fd = openat(p->process.dirfd, "root/etc/fifo", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(write(fd, TRACKED, sizeof(TRACKED)), sizeof(TRACKED));
	assert_int_equal(ASK(p, "fc\0--config-file\0/etc/fifo"), ANSWER_UNKNOWN);
	assert_int_equal(read(fd, text, sizeof(text)), sizeof(TRACKED));
	(void)close(fd);
	assert_int_equal(ASK(p, "fc\0--config-file\0/etc"), ANSWER_UNKNOWN);
	assert_int_equal(ASK(p, "fc\0--config-file\0/"), ANSWER_UNKNOWN);
}

static void nothing_is_read_for_who_may_not(void **state)
{
	const struct place *p = *state;

	assert_int_equal(fchmodat(p->process.dirfd, "root/etc/vm.json", 0600, 0), 0);
	assert_int_equal(ASK(p, "fc\0--config-file\0/etc/vm.json"), ANSWER_UNKNOWN);
	assert_int_equal(firecracker_is_logged_for_life(&p->process, geteuid()), ANSWER_YES);
}

static void a_large_file_is_not_read(void **state)
{
	const struct place *p = *state;
	char *text = malloc(FIRECRACKER_CONFIG_BYTES_MAX + 1);

	assert_non_null(text);
	memset(text, ' ', FIRECRACKER_CONFIG_BYTES_MAX + 1);
	memcpy(text, TRACKED, strlen(TRACKED));
	put(p, "root/etc/vm.json", text, FIRECRACKER_CONFIG_BYTES_MAX);
	assert_int_equal(ASK(p, "fc\0--config-file\0/etc/vm.json"), ANSWER_YES);
	put(p, "root/etc/vm.json", text, FIRECRACKER_CONFIG_BYTES_MAX + 1);
	assert_int_equal(ask(p), ANSWER_UNKNOWN);
	free(text);
}

#define TEST_IN_PLACE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_configuration_is_read),
		cmocka_unit_test(what_costs_memory_is_refused),
		TEST_IN_PLACE(the_command_line_names_the_file),
		TEST_IN_PLACE(no_is_certain_without_a_socket_only),
		TEST_IN_PLACE(nothing_leads_out_of_the_root),
		TEST_IN_PLACE(nothing_but_a_file_is_opened),
		TEST_IN_PLACE(nothing_is_read_for_who_may_not),
		TEST_IN_PLACE(a_large_file_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
