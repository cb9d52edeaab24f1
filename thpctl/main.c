/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <locale.h>
#include <stdio.h>

#include "args.h"
#include "thpd.h"
#include "verbs.h"

static int (*const run[VERB_MAX])(const struct args *) = {
	[VERB_STATUS] = verb_status,
	[VERB_SHOW] = verb_show,
	[VERB_EXPLAIN] = verb_explain,
	[VERB_NUMA] = verb_numa,
	[VERB_PLAN] = verb_plan,
	[VERB_MEMSLOTS] = verb_memslots,
	[VERB_COLLAPSE] = verb_collapse,
	[VERB_POPULATE] = verb_populate,
	[VERB_NUDGE] = verb_nudge,
	[VERB_PAUSE] = verb_pause,
	[VERB_RESUME] = verb_resume,
	[VERB_DOCTOR] = verb_doctor,
	[VERB_SNAPSHOT] = verb_snapshot,
	[VERB_CAT_CONFIG] = verb_cat_config,
	[VERB_RECORD] = verb_record,
	[VERB_RELOAD] = verb_reload,
	[VERB_DAX_CHECK] = verb_dax_check,
	[VERB_DAX_CREATE] = verb_dax_create,
	[VERB_DAX_PREALLOC] = verb_dax_realign,
	[VERB_DAX_REALIGN] = verb_dax_realign,
};

int main(int argc, char **argv)
{
	char problem[512];
	struct args args;
	int status = EXIT_OK;

	(void)setlocale(LC_CTYPE, "");
	if (args_parse(argc, argv, &args, problem, sizeof(problem)) < 0) {
		fprintf(stderr, "thpctl: %s\n", problem);
		return EXIT_USAGE;
	}
	if (args.is_help)
		args_print_help(stdout);
	else if (args.is_version)
		printf("thpctl %s\n", thpd_version());
	else
		status = run[args.verb](&args);
	/* An answer that was cut off by a full disk is no answer. */
	if (fflush(stdout) != 0 && status == EXIT_OK) {
		perror("thpctl: output");
		status = EXIT_FAILED;
	}
	return status;
}
