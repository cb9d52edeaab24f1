/* SPDX-License-Identifier: GPL-2.0-or-later */

/* thpd: options, the event loop, signals, systemd's notifications. Everything else is in the
 * manager. */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "bus.h"
#include "cleanup.h"
#include "log.h"
#include "manager.h"
#include "preparing.h"
#include "runtime_dir.h"
#include "signals.h"

#define DEFAULT_RUNTIME_DIR "/run/thpd"

struct arguments {
	struct manager_options manager;
	bool is_check_only;
	bool is_preparing;
	bool is_verbose;
};

static void print_help(void)
{
	puts("thpd [OPTIONS]\n"
	     "Keeps the memory of virtual machines mapped by huge pages. See thpd(8).\n\n"
	     "  --config-dir=DIR   the only place searched for thpd.conf, thpd.conf.d/ and vm.d/\n"
	     "  --runtime-dir=DIR  where the socket is (default " DEFAULT_RUNTIME_DIR ")\n"
	     "  --once             work at full speed until nothing that pays is left, then exit\n"
	     "  --dry-run          look, explain and plan, but change nothing\n"
	     "  --check-config     read the configuration, print its problems, exit 1 if there are "
	     "any\n"
	     "  --prepare          watch the directories of [DAX] PrepareDirectories=, and no VM\n"
	     "  --verbose          log what is done at each step\n"
	     "  -h, --help         this text\n"
	     "  --version          the version");
}

/* 0: go on; 1: done, exit 0; -EINVAL: usage. */
static int parse_arguments(int argc, char **argv, struct arguments *a)
{
	enum {
		CONFIG_DIR = 256,
		RUNTIME_DIR,
		ONCE,
		DRY_RUN,
		CHECK_CONFIG,
		PREPARE,
		VERBOSE,
		VERSION
	};
	static const struct option options[] = {
		{"config-dir", required_argument, NULL, CONFIG_DIR},
		{"runtime-dir", required_argument, NULL, RUNTIME_DIR},
		{"once", no_argument, NULL, ONCE},
		{"dry-run", no_argument, NULL, DRY_RUN},
		{"check-config", no_argument, NULL, CHECK_CONFIG},
		{"prepare", no_argument, NULL, PREPARE},
		{"verbose", no_argument, NULL, VERBOSE},
		{"version", no_argument, NULL, VERSION},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		switch (c) {
		case CONFIG_DIR:
			a->manager.config_dir = optarg;
			break;
		case RUNTIME_DIR:
			a->manager.runtime_dir = optarg;
			break;
		case ONCE:
			a->manager.is_once = true;
			break;
		case DRY_RUN:
			a->manager.is_dry_run = true;
			break;
		case CHECK_CONFIG:
			a->is_check_only = true;
			break;
		case PREPARE:
			a->is_preparing = true;
			break;
		case VERBOSE:
			a->is_verbose = true;
			break;
		case VERSION:
			puts("thpd " THPD_VERSION);
			return 1;
		case 'h':
			print_help();
			return 1;
		default:
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "thpd: '%s' is not an option; see thpd --help\n", argv[optind]);
		return -EINVAL;
	}
	return 0;
}

static int check_config(const struct arguments *a)
{
	struct config c;
	int r = config_load(a->manager.config_dir, &c), status;

	if (r < 0) {
		fprintf(stderr, "thpd: cannot read the configuration: %s\n", strerror(-r));
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < c.n_problems; i++)
		fprintf(stderr, "%s\n", c.problems[i].text);
	if (c.n_problems == 0)
		printf("%zu files read, no problems\n", c.n_sources);
	status = c.n_problems == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	config_clear(&c);
	return status;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	(void)source;
	(void)si;
	(void)sd_notify(0, "RELOADING=1");
	if (manager_reload(userdata) < 0)
		log_error("reload failed; the old configuration stays");
	else
		log_info("configuration reloaded");
	(void)sd_notify(0, "READY=1");
	return 0;
}

/* Passes r on. */
static int explained(int r, const char *what_failed)
{
	if (r < 0)
		log_error("stopped: %s: %s", what_failed, strerror(-r));
	return r;
}

static int open_bus(sd_event *event, struct manager *m, const char *path, struct runtime_dir *d,
		    struct bus **ret)
{
	int r = runtime_dir_open(path, d);

	if (r == 0)
		r = bus_new(event, m, d, ret);
	if (r < 0)
		log_error("stopped: %s", bus_error_sentence(r));
	return r;
}

/* What thpd does for VMs does not depend on it. */
static void listen_to_vmms(struct manager *m, const struct runtime_dir *d)
{
	int r = manager_listen_to_vmms(m, d);

	if (r < 0)
		log_warning("VMMs cannot tell of themselves: the socket 'vmm' in the runtime "
			    "directory cannot be made: %s",
			    strerror(-r));
}

static int make_runtime_dir(const char *dir)
{
	int r = mkdir(dir, 0755) < 0 && errno != EEXIST ? -errno : 0;

	if (r < 0)
		log_error("cannot make the runtime directory %s: %s", dir, strerror(-r));
	return r;
}

static int serve(sd_event *event, struct manager *m, const struct arguments *a)
{
	struct runtime_dir dir = RUNTIME_DIR_INIT;
	struct bus *bus = NULL;
	int r = make_runtime_dir(a->manager.runtime_dir);

	if (r == 0)
		r = explained(signals_take(event, on_reload, m), "signals cannot be received");
	if (r == 0)
		r = open_bus(event, m, a->manager.runtime_dir, &dir, &bus);
	if (r == 0)
		listen_to_vmms(m, &dir);
	if (r == 0)
		r = explained(manager_start(m), "/proc/vmstat and /proc/loadavg are needed");
	if (r == 0) {
		(void)sd_event_set_watchdog(event, true);
		(void)sd_notify(0, "READY=1");
		r = explained(sd_event_loop(event), "the event loop failed");
	}
	manager_leave_vmms(m);
	bus_free(bus);
	runtime_dir_close(&dir);
	return r;
}

static int run(const struct arguments *a)
{
	struct manager *m = NULL;
	struct sys sys = SYS_INIT;
	sd_event *event = NULL;
	int r = explained(sd_event_default(&event), "no event loop can be made");

	if (r >= 0)
		r = explained(sys_open_host(&sys), "the root directory cannot be opened");
	if (r >= 0)
		r = explained(manager_new(event, &sys, &a->manager, &m), "thpd cannot be set up");
	if (r >= 0)
		r = serve(event, m, a);
	if (m && !manager_stop(m)) {
		log_warning("a VM does not let itself be read: ending without waiting for it");
		_exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	manager_free(m);
	sys_close(&sys);
	sd_event_unref(event);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct arguments a = {.manager.runtime_dir = DEFAULT_RUNTIME_DIR};
	int r = parse_arguments(argc, argv, &a);

	if (r < 0)
		return 2;
	if (r > 0)
		return EXIT_SUCCESS;
	log_open(a.is_verbose);
	if (a.is_preparing)
		return preparing_run(a.manager.config_dir) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	return a.is_check_only ? check_config(&a) : run(&a);
}
