/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "examine.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"
#include "thpd.h"

enum { HUGE_BYTES = 2 << 20 };

static void json_putp(struct json_object **object)
{
	(void)json_object_put(*object);
}

static uint64_t number_of(struct json_object *object, const char *first, const char *second)
{
	struct json_object *inner = NULL, *value = NULL;

	return json_object_object_get_ex(object, first, &inner) &&
			       json_object_object_get_ex(inner, second, &value)
		       ? json_object_get_uint64(value)
		       : 0;
}

struct finding {
	uint64_t aligned, misaligned, split, holes;
};

static int parse_finding(const char *text, struct finding *ret)
{
	_cleanup_(json_putp) struct json_object *report = json_tokener_parse(text);

	if (!report)
		return -EINVAL;
	*ret = (struct finding){.aligned = number_of(report, "huge", "aligned_bytes"),
				.misaligned = number_of(report, "huge", "misaligned_bytes"),
				.split = number_of(report, "huge", "split_bytes"),
				.holes = number_of(report, "huge", "hole_bytes")};
	return 0;
}

static int answer(int r, char *text, const char *why, const char *shown, struct finding *ret)
{
	_cleanup_free_ char *owned = text;

	if (r == 0)
		r = parse_finding(owned, ret);
	if (r < 0)
		log_warning("%s: %s %s", shown, why ? why : "It cannot be checked.", strerror(-r));
	return r;
}

static int check_file(const char *path, const char *shown, struct finding *ret)
{
	const char *why = NULL;
	char *text = NULL;
	int r = thpd_dax_sums(path, &text, &why);

	return answer(r, text, why, shown, ret);
}

/* A process has it open or mapped. */
static bool is_in_use(const char *path)
{
	_cleanup_(json_putp) struct json_object *users = NULL;
	_cleanup_free_ char *text = NULL;

	if (thpd_dax_users(path, &text, NULL) < 0)
		return false;
	users = json_tokener_parse(text);
	return users && json_object_array_length(users) > 0;
}

/* What the file is like afterwards: a copy may have taken its place. 0, -EBUSY, or another negative
 * errno, logged. */
static int give_space(const char *path, const char *shown, struct finding *ret)
{
	const struct thpd_dax_request request = {.unit_bytes = HUGE_BYTES, .holes = true};
	const char *why = NULL;
	char *text = NULL;
	int r = is_in_use(path) ? -EBUSY : thpd_dax_realign(path, &request, &text, &why);

	if (r == -EBUSY)
		return r;
	r = answer(r, text, why, shown, ret);
	if (r == 0)
		log_info("%s: its holes were given aligned space", shown);
	return r;
}

static void tell(struct tally *t, const char *shown, const struct finding *f)
{
	if (f->misaligned + f->split > 0) {
		t->off++;
		log_warning("%s: %llu KiB are misaligned and %llu KiB spread over several extents, "
			    "so that DAX maps them by small pages: thpctl dax realign, while no VM "
			    "uses it",
			    shown, (unsigned long long)f->misaligned / 1024,
			    (unsigned long long)f->split / 1024);
		return;
	}
	t->right++;
	log_info("%s: %llu KiB lie right, %llu KiB are holes", shown,
		 (unsigned long long)f->aligned / 1024, (unsigned long long)f->holes / 1024);
}

int examine(const char *path, const char *shown, bool may_give_space, struct tally *t)
{
	struct finding f = {0};
	int r = check_file(path, shown, &f);

	if (r == 0 && may_give_space && f.holes > 0) {
		r = give_space(path, shown, &f);
		t->given_space += r == 0;
	}
	if (r == 0)
		tell(t, shown, &f);
	return r;
}
