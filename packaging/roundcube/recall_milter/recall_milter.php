<?php

require_once __DIR__ . '/lib/recall_milter_api.php';
require_once __DIR__ . '/lib/recall_milter_message.php';
require_once __DIR__ . '/lib/recall_milter_sent.php';
require_once __DIR__ . '/lib/recall_milter_draft.php';
require_once __DIR__ . '/lib/recall_milter_acts.php';

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
        if (!$this->rcmail->config->get('recall_milter_api') || !$this->rcmail->config->get('recall_milter_token')) {
            return;
        }
        $this->add_texts('localization/');
        $this->add_hook('message_sent', [$this, 'sent']);
        $this->add_hook('refresh', [$this, 'refresh']);
        $this->add_hook('render_page', [$this, 'render']);
        $this->register_action('plugin.recall_milter.status', [$this, 'status']);
        $this->register_action('plugin.recall_milter.act', [$this, 'act']);
        if ($this->rcmail->output->type === 'html') {
            $this->add_texts('localization/', true);
            $this->include_script('recall_milter.js');
            $this->include_stylesheet($this->local_skin_path() . '/recall_milter.css');
        }
    }

    /** Notes a message that was sent. It does not ask the gateway: sending must not wait for it. */
    public function sent($args)
    {
        if ($this->rcmail->task === 'mail' && $this->rcmail->action === 'send') {
            $folder = isset($_POST['_store_target'])
                ? rcube_utils::get_input_string('_store_target', rcube_utils::INPUT_POST, true)
                : $this->rcmail->config->get('sent_mbox');
            recall_milter_sent::add($args['headers']['Message-ID'], (string) $folder, time());
        }
        return $args;
    }

    /** Adds to Roundcube's own regular request how the messages are. */
    public function refresh($args)
    {
        $this->tell();
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

    /** Answers the bar's question how the messages are. */
    public function status()
    {
        $this->tell();
        $this->rcmail->output->send();
    }

    private function tell()
    {
        $now = time();
        if (!recall_milter_sent::away($now)) {
            try {
                recall_milter_sent::look($this->api(), $now);
            } catch (recall_milter_away $e) {
                recall_milter_sent::set_away($now);
            }
        }
        $this->rcmail->output->command('plugin.recall_milter.status', recall_milter_sent::known($now));
    }

    /** Does what a button says. Only a POST with Roundcube's request token gets here with anything to do. */
    public function act()
    {
        $id   = rcube_utils::get_input_string('_message_id', rcube_utils::INPUT_POST, true);
        $act  = rcube_utils::get_input_string('_act', rcube_utils::INPUT_POST);
        $acts = new recall_milter_acts($this->rcmail, $this->api());
        $done = $acts->run((string) $act, (string) $id);
        $this->rcmail->output->command('plugin.recall_milter.status', recall_milter_sent::known(time()));
        $this->rcmail->output->command('plugin.recall_milter.done', $done);
        $this->rcmail->output->send();
    }

    private function api()
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
