// SPDX-License-Identifier: MIT
/*
 * Finds and loads transports. Called by aipu_device_open. Never unloads one: a transport may have
 * installed a signal handler. Looks in $AIPU_PLUGIN_PATH (one directory, and then nowhere else), or
 * beside libaipu.so and in the directory aipu/ there.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

static int plugin_open(const char *path, const struct aipu_transport_ops **ops,
		       struct aipu_message *message)
{
	const struct aipu_transport_ops *found;
	aipu_transport_plugin_fn plugin;
	void *handle, *symbol;

	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!handle) {
		const char *why = dlerror();

		return aipu_message_set(message, -ENOEXEC, "%s: cannot be loaded: %s", path,
					why ? why : "unknown error");
	}
	symbol = dlsym(handle, AIPU_TRANSPORT_SYMBOL);
	if (!symbol)
		return aipu_message_set(message, -ENOEXEC,
					"%s: not a transport of libaipu: no %s in it", path,
					AIPU_TRANSPORT_SYMBOL);
	memcpy(&plugin, &symbol, sizeof(plugin));
	found = plugin(AIPU_TRANSPORT_VERSION);
	if (!found || found->version != AIPU_TRANSPORT_VERSION)
		return aipu_message_set(message, -EPROTO,
					"%s: transport interface %u is not the %u of libaipu %s: "
					"install both from one release",
					path, found ? found->version : 0, AIPU_TRANSPORT_VERSION,
					aipu_version());
	*ops = found;
	return 0;
}

int aipu_plugin_load(const char *file, const struct aipu_transport_ops **ops,
		     struct aipu_message *message)
{
	const char *given = secure_getenv("AIPU_PLUGIN_PATH");
	char directory[PATH_MAX], path[PATH_MAX + 64];
	Dl_info info;
	char *slash;

	if (given && *given) {
		snprintf(path, sizeof(path), "%s/%s", given, file);
		if (access(path, R_OK))
			return aipu_message_set(message, -ENOENT, "%s: %s (from AIPU_PLUGIN_PATH)",
						path, strerror(errno));
		return plugin_open(path, ops, message);
	}
	/* Own directory: by any address inside this object */
	if (!dladdr((const void *)(uintptr_t)aipu_version, &info) || !info.dli_fname ||
	    !realpath(info.dli_fname, directory))
		return aipu_message_set(message, -ENOENT,
					"%s: not found: the directory of libaipu is not known",
					file);
	slash = strrchr(directory, '/');
	*slash = '\0';
	snprintf(path, sizeof(path), "%s/%s", directory, file);
	if (!access(path, R_OK))
		return plugin_open(path, ops, message);
	snprintf(path, sizeof(path), "%s/aipu/%s", directory, file);
	if (!access(path, R_OK))
		return plugin_open(path, ops, message);
	return aipu_message_set(
		message, -ENOENT,
		"%s: neither in %.200s nor in %.200s/aipu: reinstall libaipu, or set "
		"AIPU_PLUGIN_PATH",
		file, directory, directory);
}
