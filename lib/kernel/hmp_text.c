/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hmp_text.h"

#include <string.h>

static size_t length_of(struct scanner s)
{
	return (size_t)(s.end - s.at);
}

bool hmp_next_line(struct scanner *s, struct scanner *ret)
{
	if (!scan_line(s, ret))
		return false;
	if (ret->at < ret->end && ret->end[-1] == '\r')
		ret->end--;
	return true;
}

/* ---- info mtree -f -------------------------------------------------------------------------- */

struct mtree mtree_of(const char *text)
{
	return (struct mtree){.rest = {.at = text, .end = text + strlen(text)}};
}

/* Takes `text` off the end of it. */
static bool drop_end(struct scanner *s, const char *text)
{
	size_t size = strlen(text);

	if (length_of(*s) < size || memcmp(s->end - size, text, size) != 0)
		return false;
	s->end -= size;
	return true;
}

/* The last place of `text` in it; NULL: there is none. */
static const char *find_last(struct scanner s, const char *text)
{
	size_t size = strlen(text);

	for (const char *p = s.end; (size_t)(p - s.at) >= size; p--)
		if (memcmp(p - size, text, size) == 0)
			return p - size;
	return NULL;
}

static bool name_is_sane(struct scanner name)
{
	if (name.at == name.end)
		return false;
	for (; name.at < name.end; name.at++)
		if (*name.at < ' ' || *name.at > '~')
			return false;
	return true;
}

/* "0000000000100000", all of it: QEMU has 16 digits for each address. */
static bool read_offset(struct scanner s, uint64_t *ret)
{
	uint64_t offset;

	if (length_of(s) != 16 || !scan_hex(&s, &offset) || s.at != s.end)
		return false;
	*ret = offset;
	return true;
}

/* "m0 @0000000000100000 KVM": from the end, since nothing forbids blanks in a name. "KVM" is there
 * once for each of KVM's address spaces that has the view. */
static bool scan_region(struct scanner s, struct mtree_range *r)
{
	const char *at;

	while (drop_end(&s, " KVM"))
		r->is_slot = true;
	at = find_last(s, " @");
	if (at && read_offset((struct scanner){.at = at + 2, .end = s.end}, &r->offset))
		s.end = at;
	r->name = s;
	return name_is_sane(s);
}

/* "ram", "nv-ram"; "ramd" is of a device, "rom" and "romd" are read-only, and there is "i/o". */
static bool scan_kind(struct scanner *s, struct mtree_range *r)
{
	(void)scan_text(s, "nv-");
	r->is_ram = scan_text(s, "ram): ");
	if (r->is_ram)
		return true;
	r->is_readonly = scan_text(s, "rom): ") || scan_text(s, "romd): ");
	return r->is_readonly || scan_text(s, "ramd): ");
}

/* "0000000000100000-0000000007ffffff" */
static bool scan_place(struct scanner *s, struct mtree_range *r)
{
	uint64_t last;

	if (!scan_hex(s, &r->gpa) || !scan_char(s, '-') || !scan_hex(s, &last))
		return false;
	r->bytes = last - r->gpa + 1;
	return last >= r->gpa && r->bytes > 0;
}

/* "  0000000000100000-0000000007ffffff (prio 0, ram): m0 @0000000000100000 KVM" */
static bool read_range(struct scanner line, struct mtree_range *r)
{
	uint64_t priority;

	*r = (struct mtree_range){.is_slot = false};
	scan_blanks(&line);
	if (!scan_place(&line, r) || !scan_text(&line, " (prio "))
		return false;
	(void)scan_char(&line, '-');
	return scan_u64(&line, &priority) && scan_text(&line, ", ") && scan_kind(&line, r) &&
	       scan_region(line, r);
}

bool mtree_next(struct mtree *m, struct mtree_range *ret)
{
	struct mtree_range range;
	struct scanner line;

	while (hmp_next_line(&m->rest, &line)) {
		if (scan_text(&line, "FlatView #")) {
			m->is_memory = false;
		} else if (scan_text(&line, " AS \"memory\",")) {
			m->is_memory = m->was_memory = true;
		} else if (m->is_memory && read_range(line, &range)) {
			*ret = range;
			return true;
		} else if (m->is_memory) {
			m->has_odd_slot |= drop_end(&line, " KVM");
		}
	}
	return false;
}

/* ---- gpa2hva -------------------------------------------------------------------------------- */

/* "Host virtual address for 0xe8000 (m0) is 0x7fe2380e7000" */
bool hmp_read_gpa2hva(const char *text, gpa_t gpa, struct scanner *ret_region, hva_t *ret)
{
	static const char before_hva[] = ") is 0x";
	struct scanner s = {.at = text, .end = text + strlen(text)}, line, rest;
	uint64_t asked, hva;
	const char *at;

	if (!hmp_next_line(&s, &line) || !scan_text(&line, "Host virtual address for 0x") ||
	    !scan_hex(&line, &asked) || asked != gpa || !scan_text(&line, " ("))
		return false;
	at = find_last(line, before_hva);
	if (!at)
		return false;
	rest = (struct scanner){.at = at + sizeof(before_hva) - 1, .end = line.end};
	if (!scan_hex(&rest, &hva) || rest.at != rest.end)
		return false;
	*ret_region = (struct scanner){.at = line.at, .end = at};
	*ret = hva;
	return true;
}
