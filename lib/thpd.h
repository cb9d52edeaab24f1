/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libthpd: the engine's public interface. C99 and C++ clean. Texts returned through char ** are
 * malloc'ed JSON, to be freed by the caller. Functions return 0 or a negative errno; *ret_why,
 * where present, may be NULL and receives a static sentence on failure. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define THPD_API __attribute__((visibility("default")))

/* Version of the library, as CHANGELOG names it. */
THPD_API const char *thpd_version(void);

/* Runs thpd's decisions on a snapshot (as written by `thpctl snapshot`) without looking at any
 * process: JSON with "totals", "runs" (as `thpctl explain --json`), "actions", "kvm" (likewise;
 * null: nothing is known) and "nudge_held", {"reason","sentence","cure"} (null: a nudge would be
 * due). now is the snapshot's own time. */
THPD_API int thpd_plan_snapshot(const char *text, size_t size, char **ret_json,
				const char **ret_why);

/* The memslots of a snapshot: {"name","pid","known","inferred","age_ns","memslots":[{"slot",
 * "address_space","gpa","bytes","hva","flags":["log-dirty","readonly","guest-memfd"],"can_be_huge",
 * "reason","misaligned_bytes"}]}. "known": somebody told, the library inside the VMM, or
 * ("inferred", "age_ns" before the last look) QEMU's monitor, which tells of no "slot", no flag but
 * "readonly", and of the first address space only; "can_be_huge": KVM can map all whole huge pages
 * of the slot huge where the host does, else "reason" is why not. Where nobody told there are
 * "reason", "sentence" and "cure" beside "known": what this kind of VMM lacks. */
THPD_API int thpd_memslots(const char *text, size_t size, char **ret_json, const char **ret_why);

/* Host pre-flight: {"checks":[{"id","result":"ok|note|warn|fail","text","cure"}],"ok":bool}. Needs
 * root to be complete. */
THPD_API int thpd_doctor(char **ret_json, const char **ret_why);

/* Records this host and the given processes below dirfd (an empty directory), for a bug report or a
 * test. */
THPD_API int thpd_record(int dirfd, const pid_t *pids, size_t n_pids, int scrub,
			 const char **ret_why);

/* How a file lies on its device, by FIEMAP: {"size_bytes","extents","aligned","mapping_applies",
 * "storage"{},"huge"{},"gigantic"{},"pieces"[],"mappings"[],"checks"[]}; "aligned": nothing of 2
 * MiB that could be aligned is not; "mapping_applies": the file lies on memory, so that the extents
 * decide how it is mapped. The file is only read. Of a DAX device:
 * {"size_bytes","align_bytes","address","node","aligned", "mappings"[],"checks"[]}; "aligned": it
 * maps by the largest pages that its place and size allow. */
THPD_API int thpd_dax_check(const char *path, char **ret_json, const char **ret_why);

/* Makes a file of size_bytes, all of it allocated, unwritten and aligned to unit_bytes (2 MiB or 1
 * GiB; the size is a multiple), for its owner alone. It has its name only when it is whole; none is
 * ever replaced. The answer is that of thpd_dax_check() and "searched_bytes", what was allocated to
 * find the aligned pieces. XFS and ext4. */
THPD_API int thpd_dax_create(const char *path, uint64_t size_bytes, uint64_t unit_bytes,
			     char **ret_json, const char **ret_why);

struct thpd_dax_request {
	uint64_t unit_bytes; /* 2 MiB or 1 GiB */
	int holes;	     /* give space to pieces that are holes, instead */
	int copy;	     /* by a copy of the whole file, even where its parts could be moved */
	int dry_run;	     /* only say what there is to do, and whether the file is free */
	/* Called now and then; may be NULL. */
	void (*progress)(void *userdata, uint64_t done_bytes, uint64_t all_bytes);
	void *userdata;
};

/* Moves the pieces of a file that are misaligned or split to aligned space, the data with them. The
 * file must be nobody else's: refused (-EBUSY) if anyone has it open or mapped, and given up, with
 * what was moved so far, as soon as anyone wants to. Killed at any moment, each piece lies where it
 * lay or where it shall lie, and the data are the same. Where parts cannot be moved (ext4 that is
 * mapped directly, XFS without exchange-range) a copy takes the file's place. The answer is that of
 * thpd_dax_check() afterwards, and "to_move_bytes", "moved_bytes", "copied_bytes"; where a copy has
 * taken its place, "replaced". */
THPD_API int thpd_dax_realign(const char *path, const struct thpd_dax_request *request,
			      char **ret_json, const char **ret_why);

/* Who has the file open or mapped, this process apart: [{"pid","open","mapped"}]. Processes that
 * do not let themselves be read are not in it. */
THPD_API int thpd_dax_users(const char *path, char **ret_json, const char **ret_why);

/* Maps the file as a VMM would, for reading, and counts page faults: {"tried_bytes","huge_bytes"},
 * of the first GiB of aligned pieces; huge is what came whole by one fault. -EOPNOTSUPP for a file
 * that is not mapped directly. */
THPD_API int thpd_dax_probe(const char *path, char **ret_json, const char **ret_why);

/* The sums of thpd_dax_check() alone, {"size_bytes","aligned","huge"{}}, for who looks at files of
 * others: no process is asked, and -EFBIG answers a file of more than 32768 extents. */
THPD_API int thpd_dax_sums(const char *path, char **ret_json, const char **ret_why);

/* Tells the file system to give files that are made in the directory extents of whole multiples of
 * unit_bytes: an extent size hint that is inherited (XFS). It does not align them in the device,
 * but keeps them from being cut elsewhere. A hint that is there already and fits stays. 0,
 * -EOPNOTSUPP where there is no such hint, or another negative errno. */
THPD_API int thpd_dax_hint(const char *directory, uint64_t unit_bytes, const char **ret_why);

/* All reasons: [{"slug","sentence","cure"}]. */
THPD_API int thpd_reasons(char **ret_json);

#ifdef __cplusplus
}
#endif
