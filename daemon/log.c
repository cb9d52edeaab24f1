/* SPDX-License-Identifier: GPL-2.0-or-later */
#define SD_JOURNAL_SUPPRESS_LOCATION /* it would always be this file */
#include "log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <systemd/sd-journal.h>

#include "bits.h"

enum { LINE_MAX_BYTES = 2048, FIELDS_MAX = 4 };

/* The one piece of process-wide state: a line has to be possible where no context is at hand.
 * Written before threads start. */
static struct {
	int level;
	bool is_journal;
} logger = {.level = LOG_INFO};

static const struct {
	const char *name;
	int level;
} levels[] = {
	{"error", LOG_ERR}, {"warning", LOG_WARNING}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}};

static const char *level_name(int level)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (levels[i].level >= level)
			return levels[i].name;
	return "debug";
}

/* systemd names the device and inode of the stream that it gave us. */
static bool is_stderr_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char ours[64];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	(void)snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, ours) == 0;
}

static int level_from_environment(void)
{
	const char *name = getenv("THPD_LOG_LEVEL");

	for (size_t i = 0; name && i < ARRAY_SIZE(levels); i++)
		if (strcmp(levels[i].name, name) == 0)
			return levels[i].level;
	return LOG_INFO;
}

void log_open(bool is_verbose)
{
	logger.is_journal = is_stderr_journal();
	logger.level = is_verbose ? LOG_DEBUG : level_from_environment();
}

struct line {
	int level;
	const char *vm_name, *result; /* NULL: absent */
	const char *text;
};

static void add_field(struct iovec *fields, int *n, char *buffer, const char *name,
		      const char *value)
{
	int length;

	if (!value)
		return;
	length = snprintf(buffer, LINE_MAX_BYTES, "%s=%s", name, value);
	fields[*n].iov_base = buffer;
	fields[*n].iov_len = length < LINE_MAX_BYTES ? (size_t)length : LINE_MAX_BYTES - 1;
	(*n)++;
}

/* 0 or -errno. */
static int write_journal(const struct line *l)
{
	char buffers[FIELDS_MAX][LINE_MAX_BYTES], priority[16];
	struct iovec fields[FIELDS_MAX];
	int n = 0;

	(void)snprintf(priority, sizeof(priority), "%d", l->level);
	add_field(fields, &n, buffers[0], "PRIORITY", priority);
	add_field(fields, &n, buffers[1], "MESSAGE", l->text);
	add_field(fields, &n, buffers[2], "THPD_VM", l->vm_name);
	add_field(fields, &n, buffers[3], "THPD_RESULT", l->result);
	return sd_journal_sendv(fields, n);
}

static void write_stderr(const struct line *l)
{
	(void)fprintf(stderr, "%s: %s%s%s\n", level_name(l->level), l->vm_name ? l->vm_name : "",
		      l->vm_name ? ": " : "", l->text);
}

/* One line stays one line, whatever a VM or a file put into it. */
static void make_printable(char *text)
{
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
}

__attribute__((format(printf, 2, 0))) static void write_line(struct line l, const char *format,
							     va_list ap)
{
	char text[LINE_MAX_BYTES - 16]; /* leaves room for "MESSAGE=" */

	if (l.level > logger.level)
		return;
	(void)vsnprintf(text, sizeof(text), format, ap);
	make_printable(text);
	l.text = text;
	/* A sandbox may forbid its socket; stderr is one that is open already. */
	if (!logger.is_journal || write_journal(&l) < 0)
		write_stderr(&l);
}

#define WRITE_LINE(...)                                              \
	do {                                                         \
		va_list ap_;                                         \
                                                                     \
		va_start(ap_, format);                               \
		write_line((struct line){__VA_ARGS__}, format, ap_); \
		va_end(ap_);                                         \
	} while (0)

void log_error(const char *format, ...)
{
	WRITE_LINE(.level = LOG_ERR);
}

void log_warning(const char *format, ...)
{
	WRITE_LINE(.level = LOG_WARNING);
}

void log_info(const char *format, ...)
{
	WRITE_LINE(.level = LOG_INFO);
}

void log_vm(int level, const char *vm_name, const char *format, ...)
{
	WRITE_LINE(.level = level, .vm_name = vm_name);
}

void log_result(int level, const char *vm_name, const char *result, const char *format, ...)
{
	WRITE_LINE(.level = level, .vm_name = vm_name, .result = result);
}
