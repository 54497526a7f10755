/* The peer of "make bench" for the hold path, and the least that a durable hold can do: each message is written to a
 * file of its own, which is synced before the end of the message is answered with DISCARD. Nothing is sealed, indexed,
 * or found again. The MTA waits for the same replies as from recall-milter: after recipients, at the end of the headers
 * and at the end of the message. */
#include <libmilter/mfapi.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#define NO_REPLY (SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_HDR | SMFIP_NR_BODY)

static const char *folder;
static atomic_ulong last; /* number of a file */

/* drop ends the message of a session, if there is one. */
static sfsistat drop(SMFICTX *ctx)
{
	FILE *message = smfi_getpriv(ctx);

	if (message != NULL)
		fclose(message);
	smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

static sfsistat negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long reserved1,
			  unsigned long reserved2, unsigned long *my_actions, unsigned long *my_steps,
			  unsigned long *my_reserved1, unsigned long *my_reserved2)
{
	(void)ctx, (void)actions, (void)reserved1, (void)reserved2;
	if ((steps & NO_REPLY) != NO_REPLY)
		return SMFIS_REJECT;
	*my_actions = 0;
	*my_steps = NO_REPLY | SMFIP_NOCONNECT | SMFIP_NOHELO | SMFIP_NODATA | SMFIP_NOUNKNOWN;
	*my_reserved1 = *my_reserved2 = 0;
	return SMFIS_CONTINUE;
}

/* path writes an address with its arguments. */
static sfsistat path(SMFICTX *ctx, char **words)
{
	FILE *message = smfi_getpriv(ctx);

	if (message == NULL)
		return SMFIS_TEMPFAIL;
	for (; *words != NULL; words++)
		fprintf(message, "%s ", *words);
	putc('\n', message);
	return SMFIS_CONTINUE;
}

static sfsistat mail(SMFICTX *ctx, char **words)
{
	char name[4096];

	drop(ctx);
	snprintf(name, sizeof name, "%s/%lu", folder, ++last);
	smfi_setpriv(ctx, fopen(name, "w"));
	path(ctx, words);
	return SMFIS_NOREPLY;
}

static sfsistat header(SMFICTX *ctx, char *name, char *value)
{
	FILE *message = smfi_getpriv(ctx);

	if (message != NULL)
		fprintf(message, "%s: %s\r\n", name, value);
	return SMFIS_NOREPLY;
}

static sfsistat headers(SMFICTX *ctx)
{
	FILE *message = smfi_getpriv(ctx);

	if (message != NULL)
		fputs("\r\n", message);
	return SMFIS_CONTINUE;
}

static sfsistat body(SMFICTX *ctx, unsigned char *piece, size_t length)
{
	FILE *message = smfi_getpriv(ctx);

	if (message != NULL)
		fwrite(piece, 1, length, message);
	return SMFIS_NOREPLY;
}

static sfsistat end(SMFICTX *ctx)
{
	FILE *message = smfi_getpriv(ctx);

	if (message == NULL || fflush(message) != 0 || ferror(message) || fsync(fileno(message)) != 0)
		return SMFIS_TEMPFAIL;
	drop(ctx);
	return SMFIS_DISCARD;
}

int main(int argc, char **argv)
{
	struct smfiDesc milter = {
		.xxfi_name = "durable",
		.xxfi_version = SMFI_VERSION,
		.xxfi_negotiate = negotiate,
		.xxfi_envfrom = mail,
		.xxfi_envrcpt = path,
		.xxfi_header = header,
		.xxfi_eoh = headers,
		.xxfi_body = body,
		.xxfi_eom = end,
		.xxfi_abort = drop,
		.xxfi_close = drop,
	};

	if (argc != 3) {
		fprintf(stderr, "usage: durable unix:PATH|inet:PORT@HOST FOLDER\n");
		return EX_USAGE;
	}
	folder = argv[2];
	if (smfi_setconn(argv[1]) != MI_SUCCESS || smfi_register(milter) != MI_SUCCESS)
		return EX_SOFTWARE;
	return smfi_main() == MI_SUCCESS ? EX_OK : EX_SOFTWARE;
}
