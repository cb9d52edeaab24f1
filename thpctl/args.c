/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "args.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define RUNTIME_DIR_DEFAULT "/run/thpd"

enum { ALIGN_HUGE = 2 << 20, ALIGN_GIGANTIC = 1 << 30 };

enum option_id {
	OPTION_RUNTIME_DIR = 256,
	OPTION_JSON,
	OPTION_NO_LEGEND,
	OPTION_BYTES,
	OPTION_VERSION,
	/* The ones below belong to single verbs; each has a bit in grammar.options. */
	OPTION_WAIT,
	OPTION_TARGET,
	OPTION_SNAPSHOT,
	OPTION_SCRUB,
	OPTION_SIZE,
	OPTION_ALIGN,
	OPTION_DRY_RUN,
	OPTION_PROBE,
	OPTION_COPY,
	OPTION_FORCE,
};

#define BIT(option)	   (1u << ((option)-OPTION_WAIT))
#define OPTIONS_OF_REALIGN (BIT(OPTION_ALIGN) | BIT(OPTION_DRY_RUN) | BIT(OPTION_COPY))

static const struct {
	const char *name;
	int min_words, max_words;
	unsigned int options;
	const char *synopsis, *help;
} grammar[VERB_MAX] = {
	[VERB_STATUS] = {"status", 0, 0, 0, "",
			 "One line a VM: how huge it is, and why not more (default)"},
	[VERB_SHOW] = {"show", 1, 1, 0, "VM",
		       "All that is known of a VM: policy with origins, regions"},
	[VERB_EXPLAIN] = {"explain", 1, 2, 0, "VM [ADDR]",
			  "Why memory of a VM is not huge, and what helps"},
	[VERB_NUMA] = {"numa", 0, INT16_MAX, 0, "[VM...]",
		       "On which memory nodes the VMs lie, and what is on the wrong one"},
	[VERB_PLAN] = {"plan", 0, 1, BIT(OPTION_SNAPSHOT), "VM | --snapshot=FILE",
		       "What thpd would do next; FILE is decided offline (- is stdin)"},
	[VERB_MEMSLOTS] = {"memslots", 0, 1, BIT(OPTION_SNAPSHOT), "VM | --snapshot=FILE",
			   "Where guest memory is in the guest and in the VMM; exit status 1 if "
			   "nobody tells"},
	[VERB_COLLAPSE] = {"collapse", 1, 1, BIT(OPTION_WAIT) | BIT(OPTION_TARGET),
			   "VM [--wait] [--target=PCT]",
			   "Serve a VM now; exit status 3 if it ends below PCT huge"},
	[VERB_POPULATE] = {"populate", 1, 1,
			   BIT(OPTION_WAIT) | BIT(OPTION_TARGET) | BIT(OPTION_FORCE),
			   "VM [--wait] [--target=PCT] [--force]",
			   "Give memory that VM never touched huge pages now"},
	[VERB_NUDGE] = {"nudge", 1, 1, BIT(OPTION_WAIT), "VM [--wait]",
			"Have KVM map anew what it maps by small pages under huge memory"},
	[VERB_PAUSE] = {"pause", 1, 1, 0, "VM", "Leave a VM alone until it is resumed"},
	[VERB_RESUME] = {"resume", 1, 1, 0, "VM", "Serve a paused VM again"},
	[VERB_DOCTOR] = {"doctor", 0, 0, 0, "",
			 "Check this host and its VMs; exit status 1 if something must be cured"},
	[VERB_SNAPSHOT] = {"snapshot", 1, 1, 0, "VM",
			   "Everything the decisions on a VM rest on, as JSON"},
	[VERB_CAT_CONFIG] = {"cat-config", 0, 0, 0, "",
			     "The configuration in use, with the origin of each value"},
	[VERB_RECORD] = {"record", 2, INT16_MAX, BIT(OPTION_SCRUB), "DIR VM|PID... [--scrub]",
			 "Record host and VMs into DIR for a bug report"},
	[VERB_RELOAD] = {"reload", 0, 0, 0, "", "Read the configuration again"},
	[VERB_DAX_CHECK] = {"dax check", 1, 1, BIT(OPTION_PROBE), "FILE [--probe]",
			    "Which parts of FILE can be mapped huge; exit status 3 if some cannot"},
	[VERB_DAX_CREATE] = {"dax create", 1, 1, BIT(OPTION_SIZE) | BIT(OPTION_ALIGN),
			     "FILE --size=BYTES [--align=2M|1G]",
			     "Make FILE so that all of it can be mapped huge"},
	[VERB_DAX_PREALLOC] = {"dax prealloc", 1, 1, OPTIONS_OF_REALIGN,
			       "FILE [--align=2M|1G] [--dry-run] [--copy]",
			       "Give the holes of FILE aligned space; nobody may have it open"},
	[VERB_DAX_REALIGN] = {"dax realign", 1, 1, OPTIONS_OF_REALIGN,
			      "FILE [--align=2M|1G] [--dry-run] [--copy]",
			      "Move what is misaligned in FILE; nobody may have it open"},
};

static const struct option long_options[] = {
	{"runtime-dir", required_argument, NULL, OPTION_RUNTIME_DIR},
	{"json", optional_argument, NULL, OPTION_JSON},
	{"no-legend", no_argument, NULL, OPTION_NO_LEGEND},
	{"bytes", no_argument, NULL, OPTION_BYTES},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPTION_VERSION},
	{"wait", no_argument, NULL, OPTION_WAIT},
	{"target", required_argument, NULL, OPTION_TARGET},
	{"snapshot", required_argument, NULL, OPTION_SNAPSHOT},
	{"scrub", no_argument, NULL, OPTION_SCRUB},
	{"size", required_argument, NULL, OPTION_SIZE},
	{"align", required_argument, NULL, OPTION_ALIGN},
	{"dry-run", no_argument, NULL, OPTION_DRY_RUN},
	{"probe", no_argument, NULL, OPTION_PROBE},
	{"copy", no_argument, NULL, OPTION_COPY},
	{"force", no_argument, NULL, OPTION_FORCE},
	{NULL, 0, NULL, 0},
};

const char *args_verb_name(enum verb verb)
{
	return grammar[verb].name;
}

int args_parse_share(const char *text, unsigned int *ret_bp)
{
	unsigned int bp = 0, n_digits = 0, scale = 100;

	for (; *text >= '0' && *text <= '9' && n_digits < 4; text++, n_digits++)
		bp = bp * 10 + (unsigned int)(*text - '0') * 100;
	if (n_digits == 0)
		return -EINVAL;
	if (*text == '.')
		for (text++, n_digits = 0; *text >= '0' && *text <= '9' && scale > 1; text++) {
			scale /= 10;
			bp += (unsigned int)(*text - '0') * scale;
			n_digits++;
		}
	if (n_digits == 0)
		return -EINVAL;
	if (*text == '%')
		text++;
	if (*text != '\0' || bp > 10000)
		return -EINVAL;
	*ret_bp = bp;
	return 0;
}

int args_parse_size(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGT";
	const char *unit;
	uint64_t value;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (errno != 0 || value == 0 || (*end && (!unit || end[1])))
		return -EINVAL;
	for (const char *u = units; unit && u <= unit; u++) {
		if (value > UINT64_MAX / 1024)
			return -EINVAL;
		value *= 1024;
	}
	*ret = value;
	return 0;
}

static int parse_align(const char *text, uint64_t *ret)
{
	int r = args_parse_size(text, ret);

	return r == 0 && *ret != ALIGN_HUGE && *ret != ALIGN_GIGANTIC ? -EINVAL : r;
}

static int parse_json_form(const char *text, enum json_form *ret)
{
	if (!text || strcmp(text, "pretty") == 0)
		*ret = JSON_FORM_PRETTY;
	else if (strcmp(text, "short") == 0)
		*ret = JSON_FORM_SHORT;
	else if (strcmp(text, "off") == 0)
		*ret = JSON_FORM_NONE;
	else
		return -EINVAL;
	return 0;
}

static int take_verb_option(int option, struct args *a)
{
	switch (option) {
	case OPTION_WAIT:
		a->is_waiting = true;
		return 0;
	case OPTION_TARGET:
		a->is_waiting = a->has_target = true;
		return args_parse_share(optarg, &a->target_bp);
	case OPTION_SNAPSHOT:
		a->snapshot_file = optarg;
		return 0;
	case OPTION_SCRUB:
		a->is_scrubbed = true;
		return 0;
	case OPTION_DRY_RUN:
		a->is_dry_run = true;
		return 0;
	case OPTION_PROBE:
		a->is_probing = true;
		return 0;
	case OPTION_COPY:
		a->is_copying = true;
		return 0;
	case OPTION_FORCE:
		a->is_forced = true;
		return 0;
	case OPTION_SIZE:
		return args_parse_size(optarg, &a->size_bytes);
	case OPTION_ALIGN:
		return parse_align(optarg, &a->align_bytes);
	default:
		return -EINVAL;
	}
}

static int take_option(int option, struct args *a)
{
	switch (option) {
	case OPTION_RUNTIME_DIR:
		a->runtime_dir = optarg;
		return *optarg ? 0 : -EINVAL;
	case OPTION_JSON:
		return parse_json_form(optarg, &a->json);
	case OPTION_NO_LEGEND:
		a->has_legend = false;
		return 0;
	case OPTION_BYTES:
		a->is_raw = true;
		return 0;
	case 'h':
		a->is_help = true;
		return 0;
	case OPTION_VERSION:
		a->is_version = true;
		return 0;
	default:
		return take_verb_option(option, a);
	}
}

/* A verb is one word, or two: "dax check". Returns how many, or -ENOENT. */
static int find_verb(char **words, int n_words, enum verb *ret)
{
	for (unsigned int i = 0; i < VERB_MAX; i++) {
		const char *name = grammar[i].name, *blank = strchr(name, ' ');
		size_t n = blank ? (size_t)(blank - name) : strlen(name);

		if (strlen(words[0]) != n || strncmp(words[0], name, n) != 0)
			continue;
		if (blank && (n_words < 2 || strcmp(words[1], blank + 1) != 0))
			continue;
		*ret = (enum verb)i;
		return blank ? 2 : 1;
	}
	return -ENOENT;
}

static int check_words(const struct args *a, char *error, size_t error_size)
{
	const char *name = grammar[a->verb].name, *synopsis = grammar[a->verb].synopsis;
	int min = grammar[a->verb].min_words, max = grammar[a->verb].max_words;

	/* A VM or a file, never both. */
	if (grammar[a->verb].options & BIT(OPTION_SNAPSHOT))
		min = max = a->snapshot_file ? 0 : 1;
	if (a->n_words >= min && a->n_words <= max &&
	    (a->verb != VERB_DAX_CREATE || a->size_bytes > 0))
		return 0;
	(void)snprintf(error, error_size, "'%s' wants: thpctl %s%s%s", name, name,
		       *synopsis ? " " : "", *synopsis ? synopsis : " (nothing more)");
	return -EINVAL;
}

static int set_verb(char **words, int n_words, unsigned int options, struct args *a, char *error,
		    size_t error_size)
{
	int n = n_words > 0 ? find_verb(words, n_words, &a->verb) : 0;

	if (n < 0) {
		(void)snprintf(error, error_size, "there is no verb '%s%s%s'; see thpctl --help",
			       words[0], n_words > 1 && strcmp(words[0], "dax") == 0 ? " " : "",
			       n_words > 1 && strcmp(words[0], "dax") == 0 ? words[1] : "");
		return -EINVAL;
	}
	a->words = words + n;
	a->n_words = n_words - n;
	if (options & ~grammar[a->verb].options) {
		(void)snprintf(error, error_size,
			       "'%s' does not take that option; see thpctl --help",
			       grammar[a->verb].name);
		return -EINVAL;
	}
	return check_words(a, error, error_size);
}

static const char *value_form(int option)
{
	switch (option) {
	case OPTION_TARGET:
		return "a share like 99%";
	case OPTION_JSON:
		return "short, pretty or off";
	case OPTION_SIZE:
		return "a size like 64G";
	case OPTION_ALIGN:
		return "2M or 1G";
	default:
		return "a directory";
	}
}

static int refuse_option(int option, char **argv, int index, char *error, size_t error_size)
{
	if (option == ':')
		(void)snprintf(error, error_size, "'%s' wants a value", argv[optind - 1]);
	else if (option == '?')
		(void)snprintf(error, error_size, "there is no option '%s'; see thpctl --help",
			       argv[optind - 1]);
	else
		(void)snprintf(error, error_size, "--%s: '%s' is not %s", long_options[index].name,
			       optarg ? optarg : "", value_form(option));
	return -EINVAL;
}

int args_parse(int argc, char **argv, struct args *ret, char *error, size_t error_size)
{
	struct args a = {
		.runtime_dir = RUNTIME_DIR_DEFAULT, .has_legend = true, .align_bytes = ALIGN_HUGE};
	unsigned int options = 0;
	int option, index = 0;

	optind = 0; /* glibc: begin anew */
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":h", long_options, &index)) != -1) {
		if (option == ':' || option == '?' || take_option(option, &a) < 0)
			return refuse_option(option, argv, index, error, error_size);
		if (option >= OPTION_WAIT)
			options |= BIT(option);
	}
	if (!a.is_help && !a.is_version) {
		int r = set_verb(argv + optind, argc - optind, options, &a, error, error_size);

		if (r < 0)
			return r;
	}
	*ret = a;
	return 0;
}

void args_print_help(FILE *f)
{
	fputs("thpctl [OPTIONS] [VERB ...]\n\n"
	      "Shows and steers thpd, which keeps the memory of virtual machines huge.\n"
	      "VM is a name, a UUID or a pid.\n\nVerbs:\n",
	      f);
	for (unsigned int i = 0; i < VERB_MAX; i++)
		fprintf(f, "  %s%s%s\n      %s\n", grammar[i].name, *grammar[i].synopsis ? " " : "",
			grammar[i].synopsis, grammar[i].help);
	fputs("\nOptions:\n"
	      "  --runtime-dir=DIR       where thpd's socket is (default " RUNTIME_DIR_DEFAULT ")\n"
	      "  --json[=short|pretty]   JSON instead of text\n"
	      "  --no-legend             no headings, no closing notes\n"
	      "  --bytes                 sizes in bytes\n"
	      "  -h, --help              this text\n"
	      "  --version               the version\n\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage, 3 target missed.\n",
	      f);
}
