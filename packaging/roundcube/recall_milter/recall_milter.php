<?php

require_once __DIR__ . '/lib/recall_milter_api.php';
require_once __DIR__ . '/lib/recall_milter_message.php';
require_once __DIR__ . '/lib/recall_milter_sent.php';
require_once __DIR__ . '/lib/recall_milter_draft.php';
require_once __DIR__ . '/lib/recall_milter_acts.php';
require_once __DIR__ . '/lib/recall_milter_grace.php';

/**
 * Undo send: a bar says how long a message still waits at the mail gateway, and takes it back for editing.
 *
 * The gateway is asked from here, on behalf of the IMAP login. Browsers never see the token, and never name a hold:
 * they name a message by its Message-ID, and the gateway decides whose it is. Sending never depends on the gateway's
 * API. While the API is away, nothing is said of a message that is not known.
 */
class recall_milter extends rcube_plugin
{
    /** @var string Tasks with somebody signed in */
    public $task = '?(?!login|logout).*';

    /** @var rcmail */
    private $rcmail;

    public function init()
    {
        $this->rcmail = rcmail::get_instance();
        $this->load_config();
        if (!$this->is_set_up()) {
            return;
        }
        $this->add_hook('message_sent', [$this, 'sent']);
        $this->add_hook('refresh', [$this, 'refresh']);
        $this->add_hook('render_page', [$this, 'render']);
        $this->add_hook('preferences_list', [$this, 'preferences']);
        $this->add_hook('preferences_save', [$this, 'save']);
        $this->register_action('plugin.recall_milter.status', [$this, 'status']);
        $this->register_action('plugin.recall_milter.act', [$this, 'act']);
        $this->register_action('plugin.recall_milter.waiting', [$this, 'waiting']);
        $html = $this->rcmail->output->type === 'html';
        $this->add_texts('localization/', $html);
        if ($html) {
            $this->include_script('recall_milter.js');
            $this->include_stylesheet($this->local_skin_path() . '/recall_milter.css');
        }
    }

    /**
     * Says whether there is an API to ask, and whether an IMAP login is a login of the gateway. It is not when people
     * can choose the IMAP server: with one of their own, anybody could sign in as anybody.
     */
    private function is_set_up(): bool
    {
        $config = $this->rcmail->config;
        $hosts  = (array) $config->get('recall_milter_hosts', []);
        $imap   = $config->get('imap_host');
        $ours   = $hosts
            ? in_array($_SESSION['storage_host'] ?? '', $hosts, true)
            : is_string($imap) && $imap !== '' && strpos($imap, '%') === false;
        return $ours && $config->get('recall_milter_api') && $config->get('recall_milter_token')
            && $this->rcmail->get_user_name();
    }

    /** Notes a message that was sent. It does not ask the gateway: sending must not wait for it. */
    public function sent($args)
    {
        $id = $args['headers']['Message-ID'] ?? '';
        if ($id !== '' && $this->rcmail->task === 'mail' && $this->rcmail->action === 'send') {
            $folder = isset($_POST['_store_target'])
                ? rcube_utils::get_input_string('_store_target', rcube_utils::INPUT_POST, true)
                : $this->rcmail->config->get('sent_mbox');
            recall_milter_sent::add($id, (string) $folder, time());
            $this->rcmail->output->command('plugin.recall_milter.sent', ['id' => $id]);
        }
        return $args;
    }

    /** Adds to Roundcube's own regular request how the messages are. */
    public function refresh($args)
    {
        $this->tell(false);
        return $args;
    }

    /** Gives a page what is known so far: it shows that at once, and asks for more. */
    public function render($args)
    {
        if (empty($this->rcmail->output->get_env('framed'))) {
            $this->rcmail->output->set_env('recall_milter', recall_milter_sent::known(time()));
        }
        return $args;
    }

    /** Answers a page's question how the messages are; _all: also of those that this session did not send. */
    public function status()
    {
        $this->tell((bool) rcube_utils::get_input_string('_all', rcube_utils::INPUT_GET));
        $this->rcmail->output->send();
    }

    private function tell(bool $all)
    {
        $now     = time();
        $waiting = [];
        if (!recall_milter_sent::away($now)) {
            try {
                $waiting = recall_milter_sent::look($this->api(), $now);
            } catch (recall_milter_away $e) {
                if (recall_milter_sent::set_away($now)) {
                    rcube::raise_error(['code' => 503, 'message' => 'recall_milter: ' . $e->getMessage()], true, false);
                }
            }
        }
        $known = recall_milter_sent::known($now, $all ? $waiting : []);
        $this->rcmail->output->command('plugin.recall_milter.status', $known);
    }

    /** Does what a button says. Only a POST with Roundcube's request token gets here with anything to do. */
    public function act()
    {
        $act  = rcube_utils::get_input_string('_act', rcube_utils::INPUT_POST);
        $id   = rcube_utils::get_input_string('_message_id', rcube_utils::INPUT_POST, true);
        $acts = new recall_milter_acts($this->rcmail, $this->api());
        $done = $acts->run((string) $act, (string) $id);
        $this->tell((bool) rcube_utils::get_input_string('_all', rcube_utils::INPUT_POST));
        $this->rcmail->output->command('plugin.recall_milter.done', $done);
        $this->rcmail->output->send();
    }

    /** Shows the page that lists what waits; it asks for the messages itself. */
    public function waiting()
    {
        $this->rcmail->output->set_pagetitle($this->gettext('list'));
        $this->rcmail->output->send('recall_milter.waiting');
    }

    /** Offers one's own grace where messages are composed, if the gateway offers it. */
    public function preferences($args)
    {
        if ($args['section'] === 'compose' && $args['current'] === 'compose') {
            $block = (new recall_milter_grace($this, $this->api()))->block();
            $args['blocks'] += $block ? ['recall_milter' => $block] : [];
        }
        return $args;
    }

    /** Saves one's own grace: at the gateway, not here. */
    public function save($args)
    {
        $grace = rcube_utils::get_input_string('_recall_milter_grace', rcube_utils::INPUT_POST);
        if ($args['section'] !== 'compose' || !isset($_POST['_recall_milter_grace'])) {
            return $args;
        }
        if (!(new recall_milter_grace($this, $this->api()))->choose($grace)) {
            $this->rcmail->output->show_message($this->gettext('grace-unknown'), 'error');
        }
        return $args;
    }

    private function api(): recall_milter_api
    {
        $config = $this->rcmail->config;
        return new recall_milter_api(
            $this->rcmail->get_http_client(),
            $config->get('recall_milter_api'),
            $config->get('recall_milter_token'),
            (string) $this->rcmail->get_user_name()
        );
    }
}
