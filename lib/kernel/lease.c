/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

int lease_take(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
		return -errno;
	/* Who comes is seen by asking; the signal would end the program. */
	if (fcntl(fd, F_SETOWN, 0) < 0)
		return -errno;
	return 0;
}

/* While somebody waits the kernel answers with what the lease is to become. */
bool lease_is_undisturbed(int fd)
{
	return fcntl(fd, F_GETLEASE) == F_WRLCK;
}

/* From finding a name to asking for the lease is microseconds, if the one on its way runs at all.
 */
enum { QUIET_STEPS = 20, QUIET_STEP_NS = 10000000 };

bool lease_stays_undisturbed(int fd)
{
	const struct timespec step = {.tv_nsec = QUIET_STEP_NS};

	for (int i = 0; i < QUIET_STEPS; i++) {
		if (!lease_is_undisturbed(fd))
			return false;
		(void)nanosleep(&step, NULL);
	}
	return lease_is_undisturbed(fd);
}
