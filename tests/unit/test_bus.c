/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The private socket in ordinary use, and its directory. */
#include "bus_inlet.h"
#include "bus_object.h"
#include "bus_peer.h"

/* ---- Ordinary use -------------------------------------------------------------------------- */

static void answers_every_method(void **state)
{
	static const struct {
		const char *member, *who, *address, *expected;
	} calls[] = {
		{"Show", "guest-a", NULL, "\"regions\""},
		{"Explain", "guest-a", "", "\"ksm\""},
		{"Explain", "guest-a", "0x1000", "\"runs\":[]"},
		{"Plan", "guest-a", NULL, "\"remap\""},
		{"Snapshot", "guest-a", NULL, "\"version\""},
		{"CatConfig", NULL, NULL, "[Manager]\n"},
		{"Pause", "guest-a", NULL, ""},
		{"Resume", "guest-a", NULL, ""},
		{"Reload", NULL, NULL, ""},
	};
	sd_bus *bus = connect_bus(*state);
	char error[128];

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		_cleanup_free_ char *text = call(bus, calls[i].member, calls[i].who,
						 calls[i].address, error, sizeof(error));

		assert_string_equal(error, "");
		assert_non_null(strstr(text, calls[i].expected));
	}
	sd_bus_close_unref(bus);
}

static void hands_out_a_ticket_and_its_version(void **state)
{
	sd_bus *bus = connect_bus(*state);
	sd_bus_message *reply = NULL;
	_cleanup_free_ char *version = NULL;
	uint64_t ticket = 0;

	assert_true(sd_bus_call_method(bus, NULL, "/org/thpd1", "org.thpd1.Manager", "Collapse",
				       NULL, &reply, "s", "guest-a") >= 0);
	assert_true(sd_bus_message_read(reply, "t", &ticket) >= 0);
	assert_int_equal(ticket, TICKET);
	assert_true(sd_bus_get_property_string(bus, NULL, "/org/thpd1", "org.thpd1.Manager",
					       "Version", NULL, &version) >= 0);
	assert_string_equal(version, thpd_version());
	sd_bus_message_unref(reply);
	sd_bus_close_unref(bus);
}

static void names_its_errors(void **state)
{
	static const struct {
		const char *member, *who, *address, *expected;
	} calls[] = {
		{"Show", "nobody", NULL, "org.thpd1.NoSuchVM"},
		{"Pause", "", NULL, "org.thpd1.NoSuchVM"},
		{"Collapse", "twins", NULL, "org.thpd1.AmbiguousVM"},
		{"Populate", "twins", "force", "org.thpd1.AmbiguousVM"},
		{"Populate", "guest-a", "nonsense", SD_BUS_ERROR_INVALID_ARGS},
		{"Explain", "guest-a", "nonsense", SD_BUS_ERROR_INVALID_ARGS},
		{"Explain", "nobody", "nonsense", "org.thpd1.NoSuchVM"},
		{"Show", NULL, NULL, SD_BUS_ERROR_INVALID_ARGS},
		{"Dance", NULL, NULL, SD_BUS_ERROR_UNKNOWN_METHOD},
	};
	sd_bus *bus = connect_bus(*state);
	char error[128];

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		assert_null(call(bus, calls[i].member, calls[i].who, calls[i].address, error,
				 sizeof(error)));
		assert_string_equal(error, calls[i].expected);
	}
	sd_bus_close_unref(bus);
}

static void repairs_text_that_is_not_utf8(void **state)
{
	sd_bus *bus = connect_bus(*state);
	char error[128];
	_cleanup_free_ char *text = call(bus, "GetStatus", NULL, NULL, error, sizeof(error));

	assert_non_null(text);
	assert_non_null(strstr(text, "\"?\xc3\xa9???\""));
	sd_bus_close_unref(bus);
}

static void accepts_a_message_byte_by_byte(void **state)
{
	_cleanup_close_ int fd = connect_raw(*state);
	uint8_t message[512], reply[16];
	size_t n = build_call(message, "GetStatus", 0);

	shake_hands(fd);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(send(fd, message + i, 1, MSG_NOSIGNAL), 1);
	assert_int_equal(recv(fd, reply, sizeof(reply), MSG_WAITALL), sizeof(reply));
	assert_int_equal(reply[0], 'l');
	assert_int_equal(reply[1], 2); /* method return */
}

/* ---- The directory ------------------------------------------------------------------------- */

static int try_bus(const char *directory)
{
	struct runtime_dir dir = RUNTIME_DIR_INIT;
	sd_event *event = NULL;
	struct bus *bus = NULL;
	int r;

	assert_true(sd_event_new(&event) >= 0);
	r = runtime_dir_open(directory, &dir);
	if (r == 0)
		r = bus_new(event, NULL, &dir, &bus);
	(void)bus_free(bus);
	runtime_dir_close(&dir);
	sd_event_unref(event);
	return r;
}

static void refuses_a_second_instance(void **state)
{
	struct server *s = *state;

	assert_int_equal(try_bus(s->directory), -EADDRINUSE);
	assert_non_null(strstr(bus_error_sentence(-EADDRINUSE), "Another thpd"));
	assert_answers(s);
}

static void refuses_a_foreign_listener_without_a_lock(void **state)
{
	struct server *s = *state;
	char directory[80], path[100], lock[100];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(directory, sizeof(directory), "%s/other", s->base);
	(void)snprintf(path, sizeof(path), "%s/bus", directory);
	(void)snprintf(lock, sizeof(lock), "%s/lock", directory);
	assert_int_equal(mkdir(directory, 0755), 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(try_bus(directory), -EADDRINUSE);
	fd = close_fd(fd);
	assert_int_equal(try_bus(directory), 0);  /* stale now */
	assert_int_equal(access(path, F_OK), -1); /* and removed at the end */
	(void)unlink(lock);
	(void)rmdir(directory);
}

static void replaces_the_socket_of_a_killed_instance(void **state)
{
	struct server *s = *state;

	(void)kill(s->pid, SIGKILL);
	assert_int_equal(wait_exit(s->pid, 5), 1000 + SIGKILL);
	assert_int_equal(access(s->socket, F_OK), 0);
	start_server(s);
	assert_answers(s);
}

static void refuses_a_directory_that_is_not_ours_alone(void **state)
{
	struct server *s = *state;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/open", s->base);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(try_bus(path), -EPERM);
	(void)rmdir(path);
	assert_int_equal(symlink(s->directory, path), 0);
	assert_int_equal(try_bus(path), -ENOTDIR);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/no/such", s->base);
	assert_int_equal(try_bus(path), -ENOENT);
}

/* ---- Pure parts ---------------------------------------------------------------------------- */

static void knows_the_length_of_a_message(void **state)
{
	uint8_t header[16] = {'l', 1, 0, 1, 8, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0};
	size_t bytes = 0;

	(void)state;
	assert_int_equal(bus_inlet_message_bytes(header, &bytes), 0);
	assert_int_equal(bytes, 16 + 16 + 8);
	header[0] = 'B';
	assert_int_equal(bus_inlet_message_bytes(header, &bytes), -EMSGSIZE);
	header[0] = 'x';
	assert_int_equal(bus_inlet_message_bytes(header, &bytes), -EBADMSG);
	memset(header, 0xff, sizeof(header));
	header[0] = 'l';
	assert_int_equal(bus_inlet_message_bytes(header, &bytes), -EMSGSIZE);
}

static void repairs_only_what_is_broken(void **state)
{
	char good[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
	char bad[] = "a\xc0\xaf\xe2\x82m\xf4\x90\x80\x80\xf0\x9f";
	char copy[sizeof(good)];

	(void)state;
	memcpy(copy, good, sizeof(good));
	bus_text_repair(good);
	assert_string_equal(good, copy);
	bus_text_repair(bad);
	assert_string_equal(bad, "a????m??????");
}

#define WITH_SERVER(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_length_of_a_message),
		cmocka_unit_test(repairs_only_what_is_broken),
		WITH_SERVER(answers_every_method),
		WITH_SERVER(hands_out_a_ticket_and_its_version),
		WITH_SERVER(names_its_errors),
		WITH_SERVER(repairs_text_that_is_not_utf8),
		WITH_SERVER(accepts_a_message_byte_by_byte),
		WITH_SERVER(refuses_a_second_instance),
		WITH_SERVER(refuses_a_foreign_listener_without_a_lock),
		WITH_SERVER(replaces_the_socket_of_a_killed_instance),
		WITH_SERVER(refuses_a_directory_that_is_not_ours_alone),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
