/* SPDX-License-Identifier: Apache-2.0 */
/* nearest.h - the word that somebody probably meant. svid. */
#ifndef CLI_NEAREST_H
#define CLI_NEAREST_H

#define NEAREST_NONE 3 /* letters to change: from here on it is a guess */

/** nearest_cost() - letters to change from @typed to @name; NEAREST_NONE when that is too many. */
unsigned int nearest_cost(const char *typed, const char *name);

#endif
