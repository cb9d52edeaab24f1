/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* `thpd --prepare`: watches the directories of [DAX] PrepareDirectories=, in a process of its own,
 * since it needs rights over files that the watching of VMs does without. */

/* Runs until SIGTERM or SIGINT; reads the configuration again at SIGHUP. config_dir as for
 * config_load(). 0 or a negative errno, logged. */
int preparing_run(const char *config_dir);
